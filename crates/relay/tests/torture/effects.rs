//! The effects of messages: rows that anybody can count, and what goes wrong with them.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Mutex;
use std::time::Duration;

use relay::{ConsumerConfig, Handler, HandlerError, IncomingMessage, Marks, Namespace, Retries};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The consumers, by how they know what has taken effect.
pub(crate) const CONSUMERS: [(&str, Marks); 2] =
    [("by-inbox", Marks::Inbox), ("by-progress", Marks::Progress)];

/// How the consumers read.
pub(crate) fn configs(namespace: &Namespace) -> [ConsumerConfig; 2] {
    CONSUMERS.map(|(name, marks)| {
        let all: [&str; 0] = [];
        let mut config = ConsumerConfig::new(name, namespace.clone(), all);
        config.marks = marks;
        config.in_flight = NonZeroU16::new(256).unwrap();
        config.batch = NonZeroU16::new(32).unwrap();
        config.ack_wait = Duration::from_secs(2);
        config.handler_limit = Duration::from_secs(5);
        // So quick that what does not work soon is dead.
        let (first, cap) = (Duration::from_millis(20), Duration::from_millis(100));
        config.retries = Retries { attempts: 3, first, cap };
        config.held_limit = 1_000_000;
        config
    })
}

/// Writes a row for each message, unless it fails.
pub(crate) struct Effects {
    consumer: String,
    seed: u64,
    /// How often this process has failed for a message.
    failures: Mutex<HashMap<Uuid, u32>>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    /// It fails so often, wherever it is tried, and then works.
    FailsAtFirst(u32),
    /// The handler panics at it once.
    PanicsOnce,
    /// It fails until it is mended.
    IsBroken,
    /// It is refused until it is mended.
    IsRefused,
}

impl Handler for Effects {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
        let keys: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
        // Before anything fails, so that a failure that does not roll back is seen.
        sqlx::query(
            "INSERT INTO drill.effects (consumer, message_id, key)
             SELECT $1, given.id, given.key
             FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS given (id, key, number)
             ORDER BY given.number",
        )
        .bind(&self.consumer)
        .bind(ids)
        .bind(keys)
        .execute(&mut *transaction)
        .await?;
        if messages.iter().all(|message| self.fate(message) == Fate::Works) {
            return Ok(());
        }
        let mended: i64 =
            sqlx::query_scalar("SELECT up_to FROM drill.mended").fetch_one(transaction).await?;
        let broken = messages.iter().filter(|message| message.position.get() > mended);
        for message in broken {
            match self.fate(message) {
                Fate::Works => {}
                Fate::FailsAtFirst(times) if self.has_failed(message.id) >= times => {}
                Fate::PanicsOnce if self.has_failed(message.id) >= 1 => {}
                Fate::PanicsOnce => {
                    self.fails(message.id);
                    panic!("it is broken");
                }
                Fate::FailsAtFirst(_) | Fate::IsBroken => {
                    self.fails(message.id);
                    return Err(HandlerError::failed("it is broken"));
                }
                Fate::IsRefused => return Err(HandlerError::refused("it is refused")),
            }
        }
        Ok(())
    }
}

impl Effects {
    pub(crate) fn new(consumer: String, seed: u64) -> Self {
        Self { consumer, seed, failures: Mutex::default() }
    }

    fn has_failed(&self, id: Uuid) -> u32 {
        self.failures.lock().unwrap().get(&id).copied().unwrap_or_default()
    }

    fn fails(&self, id: Uuid) {
        *self.failures.lock().unwrap().entry(id).or_default() += 1;
    }

    /// The same for the same message, whoever asks. Only every fourth key has messages that stay
    /// broken, so that most of them flow.
    fn fate(&self, message: &IncomingMessage) -> Fate {
        let (high, low) = message.id.as_u64_pair();
        let mixed = (high ^ low ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let fragile = message.subject.ends_with(['0', '4', '8']);
        match (mixed >> 32) % 400 {
            0 => Fate::PanicsOnce,
            1..=3 => Fate::FailsAtFirst(8),
            4..=11 if fragile => Fate::IsBroken,
            12..=15 if fragile => Fate::IsRefused,
            _ => Fate::Works,
        }
    }
}

/// Makes the tables.
pub(crate) async fn prepare(pool: &PgPool) {
    // No unique key: a second effect must be seen, not refused.
    let tables = "
        CREATE SCHEMA drill;
        CREATE TABLE drill.effects (
            number bigserial, consumer text NOT NULL, message_id uuid NOT NULL, key text NOT NULL
        );
        CREATE TABLE drill.mended (up_to bigint NOT NULL);
        INSERT INTO drill.mended VALUES (0);
        CREATE TABLE drill.held (consumer text NOT NULL, message_id uuid NOT NULL, is_dead boolean NOT NULL);
        CREATE FUNCTION drill.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO drill.held VALUES (NEW.consumer, NEW.message_id, NEW.state = 'dead');
            RETURN NULL;
        END
        $$;
        CREATE TRIGGER held AFTER INSERT ON relay.dead_letters
            FOR EACH ROW EXECUTE FUNCTION drill.note();
        CREATE TRIGGER died AFTER UPDATE ON relay.dead_letters
            FOR EACH ROW WHEN (NEW.state = 'dead' AND OLD.state <> 'dead') EXECUTE FUNCTION drill.note();";
    sqlx::raw_sql(tables).execute(pool).await.unwrap();
}

/// From now on what is broken up to the position `up_to` works.
pub(crate) async fn mend(pool: &PgPool, up_to: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE drill.mended SET up_to = $1").bind(up_to).execute(pool).await?;
    Ok(())
}

/// How far a consumer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) effects: u64,
    /// Now.
    pub(crate) held: u64,
}

impl Reached {
    /// What it is done with or has put aside.
    pub(crate) const fn settled(self) -> u64 {
        self.effects + self.held
    }
}

/// How far each of [`CONSUMERS`] came.
pub(crate) async fn reached(pool: &PgPool) -> Result<[Reached; 2], sqlx::Error> {
    let count = "SELECT (SELECT count(*) FROM drill.effects WHERE consumer = $1),
                        (SELECT count(*) FROM relay.dead_letters WHERE consumer = $1)";
    let mut reached = [Reached { effects: 0, held: 0 }; 2];
    for (reached, (name, _)) in reached.iter_mut().zip(CONSUMERS) {
        let (effects, held): (i64, i64) = sqlx::query_as(count).bind(name).fetch_one(pool).await?;
        *reached = Reached { effects: effects.cast_unsigned(), held: held.cast_unsigned() };
    }
    Ok(reached)
}
