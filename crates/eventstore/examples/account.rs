//! An account that is never overdrawn: load, decide, append, with snapshots and an old shape of event.
//!
//! `cargo run --package eventstore --example account` starts a private PostgreSQL for it.

use std::sync::Arc;

use eventstore::aggregate::{
    Aggregate, CodecError, Command, DomainEvent, ExecuteError, Repository, Settings, SnapshotPolicy,
};
use eventstore::evolution::Evolution;
use eventstore::{CommandId, EventStore, EventType, Fingerprint, Metadata, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum AccountEvent {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Deposited {
    cents: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Withdrawn {
    cents: i64,
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> EventType {
        match self {
            Self::Deposited(_) => EventType::new("bank.deposited", 2),
            Self::Withdrawn(_) => EventType::new("bank.withdrawn", 1),
        }
    }

    fn encode(&self) -> Result<String, CodecError> {
        Ok(serde_json::to_string(self)?)
    }

    fn decode(event_type: &EventType, payload: &str) -> Result<Self, CodecError> {
        match (&*event_type.name, event_type.schema_version) {
            ("bank.deposited", 2) => Ok(Self::Deposited(serde_json::from_str(payload)?)),
            ("bank.withdrawn", 1) => Ok(Self::Withdrawn(serde_json::from_str(payload)?)),
            _ => Err(format!("{event_type} is not known").into()),
        }
    }

    // The public is told of withdrawals, on this subject of the outbox.
    fn subject(&self) -> Option<String> {
        matches!(self, Self::Withdrawn(_)).then(|| "bank.withdrawn.v1".to_owned())
    }
}

/// What a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[derive(Debug)]
struct Overdrawn;

impl Account {
    fn withdraw(&self, cents: i64) -> Result<Vec<AccountEvent>, Overdrawn> {
        if cents > self.cents {
            return Err(Overdrawn);
        }
        Ok(vec![AccountEvent::Withdrawn(Withdrawn { cents })])
    }
}

impl Aggregate for Account {
    type Event = AccountEvent;

    // Raise the second number whenever `Account` or `evolve` changes its meaning.
    const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::every(100, 1);

    fn initial() -> Self {
        Self { cents: 0 }
    }

    fn evolve(self, event: &AccountEvent) -> Self {
        match event {
            AccountEvent::Deposited(Deposited { cents }) => Self { cents: self.cents + cents },
            AccountEvent::Withdrawn(Withdrawn { cents }) => Self { cents: self.cents - cents },
        }
    }
}

/// Amounts used to be in whole euros.
fn evolution() -> Evolution {
    let today = [EventType::new("bank.deposited", 2), EventType::new("bank.withdrawn", 1)];
    Evolution::to(today).upcast(EventType::new("bank.deposited", 1), 2, |payload| {
        let euros = payload["euros"].as_i64().ok_or("no amount")?;
        Ok(json!({ "cents": euros * 100 }))
    })
}

/// Who asks for what; a client that repeats it gives the same id again.
fn command(body: &str) -> Command {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, body.as_bytes());
    let metadata = Metadata {
        actor: "customer-7".to_owned(),
        tenant: None,
        correlation_id: id,
        causation_id: None,
        trace: None,
    };
    Command { id: CommandId::new(id), fingerprint: Fingerprint::of(body.as_bytes()), metadata }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it shows what happens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let postgres = testkit::Postgres::start_ephemeral()?;
    let pool = PgPoolOptions::new().connect(&postgres.url()).await?;
    sqlx::migrate!("../../migrations").run(&pool).await?;
    let store = EventStore::open(pool).await?;

    let evolution = evolution();
    // At boot: refuse to run on a log that holds what this code cannot read.
    evolution.check_log(&store).await?;
    let accounts: Repository<Account> =
        Repository::new(store, Arc::new(evolution), Settings::default());

    let id = StreamId::new("bank.account-7")?;
    let deposit =
        |_: &Account| Ok::<_, Overdrawn>(vec![AccountEvent::Deposited(Deposited { cents: 5_000 })]);
    let first = accounts.execute(&id, &command("deposit 50"), deposit).await;
    println!("deposited: {first:?}");
    let again = accounts.execute(&id, &command("deposit 50"), deposit).await;
    println!("the same command again: {again:?}");

    let withdrawal = command("withdraw 30");
    let withdrawn = accounts.execute(&id, &withdrawal, |account| account.withdraw(3_000)).await;
    withdrawn.map_err(|error| format!("{error:?}"))?;
    let withdrawal = command("withdraw 21");
    let refused = accounts.execute(&id, &withdrawal, |account| account.withdraw(2_100)).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(Overdrawn))));

    let account = accounts.load(&id).await?;
    println!("at version {}: {:?}", account.version, account.state);
    assert_eq!((account.version.get(), account.state.cents), (2, 2_000));
    Ok(())
}
