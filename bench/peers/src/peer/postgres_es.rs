//! postgres-es, the PostgreSQL repository of cqrs-es: aggregates in one table, keyed by type, id
//! and sequence number.
//!
//! Settings: `PersistedEventStore::new_event_store`, where events are the truth and an aggregate
//! is loaded from all of them; its snapshot and aggregate stores would load less and write more.
//! The tables are those of its documentation, `json` columns included.
//!
//! `append` commits to the store with the context of an aggregate that has no events, which is
//! what the framework does after loading one; so nothing is loaded. The primary key refuses a
//! second event with the same sequence number. `command` is `CqrsFramework::execute_with_metadata`.
//!
//! There is no order over aggregates and nothing to subscribe to, so no [`crate::peer::Log`]. Its
//! views are no read model with a checkpoint: `GenericQuery` is called after the commit, in the
//! process that appended, and `QueryReplay` begins at the beginning each time.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore as _};
use postgres_es::{PostgresCqrs, PostgresEventRepository};
use uuid::Uuid;

use super::{Attempt, NewStream, Peer};
use crate::args::{Run, Settings};
use crate::customer::{Customer, Refused};
use crate::order::{Metadata, OrderPlaced};
use crate::pool;
use crate::report::Outcome;
use crate::scratch::Scratch;
use crate::workload::{append, command};

/// What its documentation wants to be there; snapshots are not used.
const SCHEMA: &str = "
    CREATE TABLE events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence bigint NOT NULL CHECK (sequence >= 0),
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload json NOT NULL,
        metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

const NO_ORDER: &str = "It has no order over aggregates: its replay of all of them is sorted by \
    the sequence number within each aggregate alone.";
const NO_SUBSCRIPTION: &str = "It has no subscriptions: a query is called in the process that \
    appended, after the commit, and what it misses then it never gets.";

pub(crate) async fn run(scratch: &Scratch, run: &Run) -> Result<Outcome> {
    let settings = run.server().settings;
    let open = PostgresEs::open(scratch, settings);
    let measured = match run {
        Run::Append(run) => append::run(&open.await?, scratch, run).await?,
        Run::Command(run) => command::run(&open.await?, scratch, run).await?,
        Run::Replay(_) => return Ok(Outcome::Unsupported { unsupported: NO_ORDER }),
        Run::Tail(_) | Run::Projection(_) => {
            return Ok(Outcome::Unsupported { unsupported: NO_SUBSCRIPTION });
        }
    };
    Ok(measured.with(settings))
}

#[derive(Clone)]
pub(crate) struct PostgresEs {
    store: Arc<PersistedEventStore<PostgresEventRepository, Customer>>,
    cqrs: Arc<PostgresCqrs<Customer>>,
}

impl PostgresEs {
    /// Commits the events `numbers` as the first ones of `stream`.
    async fn begin(&self, stream: Uuid, numbers: std::ops::Range<u64>) -> Result<Attempt> {
        let metadata = Metadata::new(numbers.start).0;
        let context = EventStoreAggregateContext {
            aggregate_id: stream.to_string(),
            aggregate: Customer::default(),
            current_sequence: 0,
            current_snapshot: None,
        };
        let events = numbers.map(OrderPlaced::new).collect();
        attempt(self.store.commit(events, context, metadata).await.map(drop))
    }
}

impl Peer for PostgresEs {
    async fn open(scratch: &Scratch, settings: Settings) -> Result<Self> {
        let pool = pool::sqlx08(scratch, settings).await?;
        sqlx08::query(SCHEMA).execute(&pool).await.context("cannot make the schema")?;
        let store =
            || PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
        let cqrs = CqrsFramework::new(store(), Vec::new(), ());
        Ok(Self { store: Arc::new(store()), cqrs: Arc::new(cqrs) })
    }

    async fn append(&self, stream: Uuid, number: u64) -> Result<Attempt> {
        self.begin(stream, number..number + 1).await
    }

    async fn command(&self, id: Uuid, number: u64) -> Result<Attempt> {
        let (order, metadata) = (OrderPlaced::new(number), Metadata::new(number).0);
        attempt(self.cqrs.execute_with_metadata(&id.to_string(), order, metadata).await)
    }

    /// Through the store, a transaction for each aggregate.
    async fn preload(&self, streams: &[NewStream]) -> Result<()> {
        for stream in streams {
            let attempt = self.begin(stream.id, stream.numbers.clone()).await?;
            ensure!(attempt == Attempt::Done, "a stream of the preload is there already");
        }
        Ok(())
    }
}

fn attempt(outcome: Result<(), AggregateError<Refused>>) -> Result<Attempt> {
    match outcome {
        Ok(()) => Ok(Attempt::Done),
        Err(AggregateError::AggregateConflict) => Ok(Attempt::Conflict),
        Err(error) => Err(error.into()),
    }
}

impl Aggregate for Customer {
    const TYPE: &'static str = "customer";
    type Command = OrderPlaced;
    type Event = OrderPlaced;
    type Error = Refused;
    type Services = ();

    async fn handle(
        &mut self,
        order: OrderPlaced,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Refused> {
        sink.write(self.place(order)?, self).await;
        Ok(())
    }

    fn apply(&mut self, event: OrderPlaced) {
        Self::apply(self, &event);
    }
}

impl DomainEvent for OrderPlaced {
    fn event_type(&self) -> String {
        "OrderPlaced".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}
