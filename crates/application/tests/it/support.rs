//! One test's log and its bus, and commands made short.

use std::sync::Arc;

use adapters::{SystemClock, TimeOrderedIds};
use application::catalog::ListProduct;
use application::ordering::PlaceOrder;
use application::policies::{Incoming, PolicyError, react};
use application::ports::IdSource;
use application::{CommandBus, CommandError, Origin};
use domain::ids::{OrderId, ProductId};
use domain::ordering::{RequestedLine, RequestedLines};
use domain::values::{Money, ProductName, Quantity, Sku, StockLevel};
use domain::{Event, Message, Policy};
use eventstore::{AppendError, EventStore, Filter, Metadata, Position, Receipt, RecordedEvent};
use sqlx::migrate::Migrator;
use sqlx::{PgConnection, PgPool};
use testkit::TestDatabase;
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

pub(crate) struct World {
    database: TestDatabase,
    pub(crate) store: EventStore,
    pub(crate) bus: CommandBus,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = EventStore::open(database.pool()).await.unwrap();
        let bus = CommandBus::new(store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds));
        Self { database, store, bus }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    /// The whole log.
    pub(crate) async fn log(&self) -> Vec<RecordedEvent> {
        let head = self.store.head().await.unwrap();
        self.store
            .read_page(&Filter::everything(), Position::START, head, u16::MAX)
            .await
            .unwrap()
            .events
    }

    /// The types of the whole log.
    pub(crate) async fn types(&self) -> Vec<String> {
        self.log().await.iter().map(|event| event.event_type.to_string()).collect()
    }

    /// The subjects of the whole outbox.
    pub(crate) async fn subjects(&self) -> Vec<String> {
        let outbox = self.store.read_outbox(Position::START, u16::MAX).await.unwrap();
        outbox.into_iter().map(|message| message.subject).collect()
    }

    pub(crate) async fn list(&self, sku: &str, stock: i64) -> ProductId {
        self.bus.list_product(&origin(), product(sku, stock)).await.unwrap().0
    }

    pub(crate) async fn place(&self, product: ProductId, quantity: i64) -> (OrderId, Receipt) {
        self.bus.place_order(&origin(), order(&[(product, quantity)])).await.unwrap()
    }

    /// The message that tells of the last event of the log.
    pub(crate) async fn last_message(&self) -> Told {
        Told::of(self.log().await.last().unwrap())
    }
}

/// A message as it is delivered.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: Uuid,
    name: &'static str,
    version: i16,
    data: String,
    pub(crate) metadata: Metadata,
}

impl Told {
    pub(crate) fn of(recorded: &RecordedEvent) -> Self {
        let [event] = application::decode(recorded).unwrap().try_into().unwrap();
        let message = Message::of(&event).unwrap();
        let message_type = message.payload_type();
        Self {
            id: recorded.id.get(),
            name: message_type.name,
            version: message_type.version,
            data: message.encode().unwrap(),
            metadata: recorded.metadata.clone(),
        }
    }

    pub(crate) async fn react(
        &self,
        world: &World,
        connection: &mut PgConnection,
        policy: &Policy,
    ) -> Result<(), PolicyError> {
        let incoming = Incoming {
            id: self.id,
            name: self.name,
            version: self.version,
            data: &self.data,
            correlation_id: self.metadata.correlation_id,
            tenant: self.metadata.tenant,
            trace: self.metadata.trace.as_deref(),
        };
        react(&world.bus, connection, policy, incoming).await
    }

    /// Reacts in a transaction of its own, and commits.
    pub(crate) async fn react_and_commit(
        &self,
        world: &World,
        policy: &Policy,
    ) -> Result<(), PolicyError> {
        let mut transaction = world.store.pool().begin().await.unwrap();
        self.react(world, &mut transaction, policy).await?;
        let unconfirmed = |source| AppendError::Unconfirmed { source: Arc::new(source) };
        let committed = transaction.commit().await.map_err(unconfirmed);
        committed.map_err(CommandError::Append)?;
        Ok(())
    }
}

pub(crate) fn decoded(log: &[RecordedEvent]) -> Vec<Event> {
    log.iter().flat_map(|recorded| application::decode(recorded).unwrap()).collect()
}

pub(crate) fn id() -> Uuid {
    TimeOrderedIds.next()
}

pub(crate) fn origin() -> Origin {
    Origin {
        actor: "somebody".to_owned(),
        tenant: Some(Uuid::from_u128(0x7e)),
        correlation_id: id(),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        idempotency_key: None,
    }
}

pub(crate) fn with_key(key: &str) -> Origin {
    Origin { idempotency_key: Some(key.to_owned()), ..origin() }
}

pub(crate) fn product(sku: &str, stock: i64) -> ListProduct {
    ListProduct {
        sku: Sku::try_from(sku.to_owned()).unwrap(),
        name: ProductName::try_from("Mug".to_owned()).unwrap(),
        price: Money::new(1250, "EUR".parse().unwrap()).unwrap(),
        stock: StockLevel::try_from(stock).unwrap(),
    }
}

pub(crate) fn order(lines: &[(ProductId, i64)]) -> PlaceOrder {
    let lines = lines.iter().map(|(product_id, quantity)| RequestedLine {
        product_id: *product_id,
        quantity: Quantity::try_from(*quantity).unwrap(),
    });
    PlaceOrder { lines: RequestedLines::try_from(lines.collect::<Vec<_>>()).unwrap() }
}
