//! disintegrate with its PostgreSQL backend: events in one table with a column for each domain
//! identifier, ordered by a sequence; what a decision depends on is a query, not a stream.
//!
//! Settings: JSON, identifiers of type UUID, decisions without snapshots. It has no metadata, so
//! they are a field of the event.
//!
//! Its schema, that of 4.0.1, has one number in a notation that PostgreSQL understands only from 16
//! on ([`REPAIR`]); on 15 it cannot be used as it is. The number is written differently here,
//! everything else is as the library makes it.
//!
//! `append` is the store's `append` with the query for the events of the customer from the
//! beginning, which must find none, in a serializable transaction. That one locks the index page
//! where it looked, so that transactions fail which do not conflict: ids in order of time, which
//! are all on the last page, make a third of the rate of random ones, so ids are random. With
//! `--unchecked` it is `append_without_validation`, documented for who is certain that nobody else
//! has appended, as the maker of a random id is; it checks nothing, unlike the other peers.
//!
//! `command` is `DecisionMaker::make`, which asks for events of the customer after the last one
//! known. PostgreSQL answers that from the end of the primary key and locks that page, to which
//! everybody appends: of commands that overlap one succeeds, whatever customers they are about.
//! Hence the retries, and hence it is fastest with a single connection (`--connections 1`).
//!
//! `replay` is the store's `stream` of all events. `tail` is a `PgEventListener` that is notified
//! of every event and polls besides, every [`POLL`]. What it misses it has passed over: the query
//! for new events asks how far it may read in a function that sees events which the query itself,
//! begun before, does not see yet, and goes on behind them.

mod projection;

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, Event, EventListener, EventStore as _, NoSnapshot, PersistedEvent,
    StateMutate, StateQuery, StreamItem, StreamQuery, query,
};
use disintegrate_postgres::{
    Error, PgDecisionMaker, PgEventId, PgEventListener, PgEventListenerConfig,
    PgEventListenerError, PgEventStore, RetryAction, decision_maker,
};
use futures_util::TryStreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Attempt, Log, NewStream, Peer};
use crate::args::Settings;
use crate::customer::{Customer, Refused};
use crate::order::{Metadata, OrderPlaced};
use crate::pool;
use crate::scratch::Scratch;
use crate::sightings::Sightings;

/// How often the listener looks if no notification arrives; one that does wakes it at once.
const POLL: Duration = Duration::from_millis(50);

/// Hexadecimal numbers came with PostgreSQL 16; this one is as large in any version.
const REPAIR: &str = "
    DO $$ BEGIN
        EXECUTE replace(
            pg_get_functiondef('event_store_begin_epoch'::regproc), '0xFFFFFFFF', '4294967295');
    END $$";

type Store<E> = PgEventStore<E, Json<E>>;

#[derive(Clone)]
pub(crate) struct Disintegrate {
    store: Store<OrderEvent>,
    unchecked: bool,
    decisions: PgDecisionMaker<OrderEvent, Json<OrderEvent>, NoSnapshot>,
}

/// Connects, and makes the schema for events of the type `E`.
async fn open<E>(scratch: &Scratch, settings: Settings) -> Result<(sqlx08::PgPool, Store<E>)>
where
    E: Event + Clone + Serialize + DeserializeOwned + Send + Sync,
{
    // Or the function that needs repair could not even be made.
    scratch.set("check_function_bodies", "off").await?;
    let pool = pool::sqlx08(scratch, settings).await?;
    let store = PgEventStore::try_new(pool.clone(), Json::default());
    let store = store.await.context("cannot make the schema")?;
    sqlx08::query(REPAIR).execute(&pool).await.context("cannot repair the schema")?;
    Ok((pool, store))
}

impl Peer for Disintegrate {
    async fn open(scratch: &Scratch, settings: Settings) -> Result<Self> {
        let (_, store) = open(scratch, settings).await?;
        let decisions = decision_maker(store.clone(), NoSnapshot);
        Ok(Self { store, unchecked: settings.unchecked, decisions })
    }

    fn new_id() -> Uuid {
        Uuid::new_v4()
    }

    async fn append(&self, stream: Uuid, number: u64) -> Result<Attempt> {
        let event = OrderEvent::new(stream, OrderPlaced::new(number));
        let appended = if self.unchecked {
            self.store.append_without_validation(vec![event]).await
        } else {
            let of_customer = query!(OrderEvent; customer_id == stream);
            self.store.append(vec![event], of_customer, 0).await
        };
        match appended {
            Ok(_) => Ok(Attempt::Done),
            Err(error) if is_conflict(&error) => Ok(Attempt::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    async fn command(&self, id: Uuid, number: u64) -> Result<Attempt> {
        let decision = PlaceOrder { customer_id: id, order: OrderPlaced::new(number) };
        match self.decisions.make(decision).await {
            Ok(_) => Ok(Attempt::Done),
            Err(DecisionError::StateStore(error) | DecisionError::EventStore(error)) => {
                match error.downcast::<Error>() {
                    Ok(error) if is_conflict(&error) => Ok(Attempt::Conflict),
                    Ok(error) => Err((*error).into()),
                    Err(error) => bail!(error),
                }
            }
            Err(DecisionError::Domain(refused)) => Err(refused.into()),
        }
    }

    /// Through the store without validation, all streams in one statement.
    async fn preload(&self, streams: &[NewStream]) -> Result<()> {
        let events = streams.iter().flat_map(|stream| {
            stream
                .numbers
                .clone()
                .map(|number| OrderEvent::new(stream.id, OrderPlaced::new(number)))
        });
        self.store.append_without_validation(events.collect()).await?;
        Ok(())
    }
}

/// The store saw newer events, or PostgreSQL gave up a serializable transaction (40001), which
/// the store reports as a conflict only if that happens at the commit.
fn is_conflict(error: &Error) -> bool {
    match error {
        Error::Concurrency => true,
        Error::Database(sqlx08::Error::Database(error)) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}

impl Log for Disintegrate {
    type Projector = projection::Projector;

    async fn replay(&self) -> Result<u64> {
        let all = query!(OrderEvent);
        let mut items = self.store.stream::<OrderEvent>(&all);
        let mut count = 0;
        while let Some(item) = items.try_next().await? {
            count += u64::from(matches!(item, StreamItem::Event(_)));
        }
        Ok(count)
    }

    async fn follow(&self, sightings: Sightings, stop: oneshot::Receiver<()>) -> Result<()> {
        let config = PgEventListenerConfig::poller(POLL).with_notifier().with_retry(retry);
        let listener = Listener { query: query!(OrderEvent), sightings };
        PgEventListener::builder(self.store.clone())
            .register_listener(listener, config)
            .start_with_shutdown(async {
                let _ = stop.await;
            })
            .await
            .context("the listener failed")
    }
}

/// Again and again: by default a listener that fails once ends in silence.
#[expect(clippy::needless_pass_by_value, reason = "the library wants a function like this")]
fn retry<E: std::fmt::Debug>(error: PgEventListenerError<E>, _attempts: usize) -> RetryAction {
    tracing::warn!("the listener failed: {error:?}");
    RetryAction::Wait { duration: POLL }
}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
enum OrderEvent {
    OrderPlaced {
        #[id]
        customer_id: Uuid,
        order: OrderPlaced,
        metadata: Metadata,
    },
}

impl OrderEvent {
    fn new(customer_id: Uuid, order: OrderPlaced) -> Self {
        let metadata = Metadata::new(order.number);
        Self::OrderPlaced { customer_id, order, metadata }
    }
}

#[derive(Clone, Debug, Default, StateQuery, Serialize, Deserialize)]
#[state_query(OrderEvent)]
struct Orders {
    #[id]
    customer_id: Uuid,
    customer: Customer,
}

impl StateMutate for Orders {
    fn mutate(&mut self, event: OrderEvent) {
        let OrderEvent::OrderPlaced { order, .. } = event;
        self.customer.apply(&order);
    }
}

struct PlaceOrder {
    customer_id: Uuid,
    order: OrderPlaced,
}

impl Decision for PlaceOrder {
    type Event = OrderEvent;
    type StateQuery = Orders;
    type Error = Refused;

    fn state_query(&self) -> Orders {
        Orders { customer_id: self.customer_id, customer: Customer::default() }
    }

    fn process(&self, state: &Orders) -> Result<Vec<OrderEvent>, Refused> {
        let order = state.customer.place(self.order.clone())?;
        Ok(vec![OrderEvent::new(self.customer_id, order)])
    }
}

struct Listener {
    query: StreamQuery<PgEventId, OrderEvent>,
    sightings: Sightings,
}

#[async_trait]
impl EventListener<PgEventId, OrderEvent> for Listener {
    type Error = Infallible;

    fn id(&self) -> &'static str {
        "peers"
    }

    fn query(&self) -> &StreamQuery<PgEventId, OrderEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, OrderEvent>) -> Result<(), Infallible> {
        let OrderEvent::OrderPlaced { order, .. } = event.into_inner();
        self.sightings.saw(order.number);
        Ok(())
    }
}
