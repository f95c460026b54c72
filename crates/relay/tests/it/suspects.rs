//! A message that ends the process is found, held and shown, and everything else takes effect.
//!
//! The process is this test binary run again, for the one test `consuming_process`.

use std::env;
use std::process::{Child, Command};
use std::time::Duration;

use relay::dead_letters::{self, DeadLetter, Selection, State};
use relay::{Consumer, ConsumerConfig, Handler, HandlerError, IncomingMessage, Retries};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::consumers::QUICK;
use crate::world::{LIMIT, SUBJECT, World};

const SETTINGS: &str = "RELAY_TEST_CONSUMING_PROCESS";

/// Ends the process when it comes to one message.
struct Deadly {
    position: i64,
    /// It only fails when it meets it together with others or for the first time.
    fails_first: bool,
    pool: PgPool,
}

impl Handler for Deadly {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        for message in messages {
            if message.position.get() == self.position {
                if self.fails_first && !self.is_held(message).await? {
                    return Err(HandlerError::failed("it is broken"));
                }
                std::process::abort();
            }
            sqlx::query("INSERT INTO effects (position, key) VALUES ($1, $2)")
                .bind(message.position.get())
                .bind(&message.subject)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(())
    }
}

impl Deadly {
    async fn is_held(&self, message: &IncomingMessage) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM relay.dead_letters WHERE message_id = $1)")
            .bind(message.id)
            .fetch_one(&self.pool)
            .await
    }
}

#[tokio::test]
async fn consuming_process() {
    #[expect(clippy::disallowed_methods, reason = "tells the process from the test")]
    let Ok(settings) = env::var(SETTINGS) else { return };
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let text = |name: &str| settings[name].as_str().unwrap();
    let pool = PgPool::connect(text("database")).await.unwrap();
    let mut config = ConsumerConfig::new("effects", text("namespace").parse().unwrap(), [SUBJECT]);
    config.ack_wait = Duration::from_secs(2);
    config.handler_limit = Duration::from_millis(100);
    config.retries = Retries { attempts: 2, ..QUICK };
    let handler = Deadly {
        position: settings["position"].as_i64().unwrap(),
        fails_first: settings["fails_first"].as_bool().unwrap(),
        pool: pool.clone(),
    };
    let broker = text("broker").parse().unwrap();
    Consumer::new(pool, broker, config, handler).run(CancellationToken::new()).await;
}

impl World {
    fn consuming_process(&self, position: i64, fails_first: bool) -> Child {
        let settings = json!({
            "database": self.database.url(),
            "broker": self.url,
            "namespace": self.namespace.as_str(),
            "position": position,
            "fails_first": fails_first,
        });
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "suspects::consuming_process"])
            .env(SETTINGS, settings.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Starts processes until one does not end, and says what it holds and how many ended.
    async fn outlives(&self, position: i64, fails_first: bool) -> (Vec<DeadLetter>, usize) {
        let mut process = self.consuming_process(position, fails_first);
        let mut ended = 0;
        let held = eventually(LIMIT, "a dead letter", || {
            if process.try_wait().unwrap().is_some() {
                ended += 1;
                process = self.consuming_process(position, fails_first);
            }
            async {
                self.expire_ownership().await;
                let everything = Selection::default();
                let letters = dead_letters::list(&self.pool(), &everything, 100).await.unwrap();
                let is_dead = letters.first().is_some_and(|letter| letter.state == State::Dead);
                if is_dead { Ok(letters) } else { Err(letters) }
            }
        })
        .await;
        eventually(LIMIT, "all the others to take effect", || async {
            let effects = self.effects().await;
            if effects.len() >= 27 { Ok(()) } else { Err(effects) }
        })
        .await;
        process.kill().unwrap();
        process.wait().unwrap();
        (held, ended)
    }
}

#[tokio::test]
async fn a_message_that_ends_the_process_is_held_in_the_end() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let streams = ["testing.thing-a", "testing.thing-b", "testing.thing-c"];
    world.append_to(&streams, 10).await;
    world.complete().await;
    // The eighth of stream b: two others of it are behind.
    let (held, ended) = world.outlives(23, false).await;
    assert_eq!(ended, 3, "together, together, alone");
    let error = held[0].error.as_deref().unwrap();
    assert!(error.starts_with("3 processes ended"), "{error}");
    let mut effects = world.effects().await;
    effects.sort_unstable();
    let expected: Vec<i64> = (1..=30).filter(|position| ![23, 26, 29].contains(position)).collect();
    assert_eq!(effects, expected);
    publisher.stop().await;
}

#[tokio::test]
async fn a_held_message_that_ends_the_process_each_time_is_dead_in_the_end() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let streams = ["testing.thing-a", "testing.thing-b", "testing.thing-c"];
    world.append_to(&streams, 10).await;
    world.complete().await;
    let (held, ended) = world.outlives(23, true).await;
    assert_eq!(
        (held[0].attempts, ended),
        (3, 1),
        "one failed, one ended it, the third was not made"
    );
    let error = held[0].error.as_deref().unwrap();
    assert!(error.starts_with("the process ended at each attempt"), "{error}");
    publisher.stop().await;
}
