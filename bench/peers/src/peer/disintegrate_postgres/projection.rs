//! A read model of disintegrate: a `PgEventListener` as in the chapter about listeners of its
//! documentation, where the handler writes to a pool.
//!
//! The listener reads in one transaction, which locks and at last moves its checkpoint. A handler
//! gets one event and does not get that transaction, so its statement is a transaction of its own;
//! events are delivered again if the listener ends in between.
//!
//! Settings: no fetch size, as by default. All that is there is then read by one query and makes
//! one checkpoint; a smaller fetch size would make more of both.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use disintegrate::{Event, EventListener, EventStore as _, PersistedEvent, StreamQuery, query};
use disintegrate_postgres::{PgEventId, PgEventListener, PgEventListenerConfig};
use serde::{Deserialize, Serialize};
use sqlx08::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{POLL, Store, open, retry};
use crate::args::Settings;
use crate::order::{Metadata, OrderConfirmed, OrderPlaced};
use crate::orders_view;
use crate::peer::{self, NewStream};
use crate::scratch::Scratch;

/// The name under which the checkpoint is stored.
const LISTENER: &str = "orders";

#[derive(Clone)]
pub(crate) struct Projector {
    store: Store<OrderEvent>,
    pool: PgPool,
}

impl peer::Projector for Projector {
    async fn open(scratch: &Scratch, settings: Settings) -> Result<Self> {
        let (pool, store) = open(scratch, settings).await?;
        Ok(Self { store, pool })
    }

    /// Through the store without validation, all orders in one statement.
    async fn preload(&self, orders: &[NewStream]) -> Result<()> {
        let events = orders
            .iter()
            .flat_map(|order| order.numbers.clone().map(|number| OrderEvent::new(order.id, number)))
            .collect();
        self.store.append_without_validation(events).await?;
        Ok(())
    }

    async fn project(&self, stop: oneshot::Receiver<()>) -> Result<()> {
        let listener = OrdersView { query: query!(OrderEvent), pool: self.pool.clone() };
        let config = PgEventListenerConfig::poller(POLL).with_retry(retry);
        PgEventListener::builder(self.store.clone())
            .register_listener(listener, config)
            .start_with_shutdown(async {
                let _ = stop.await;
            })
            .await
            .context("the listener failed")
    }

    async fn is_at_the_end(&self) -> Result<bool> {
        let is_at_the_end = "
            SELECT last_processed_event_id >= (SELECT max(event_id) FROM event)
            FROM event_listener WHERE id = $1";
        let found: Option<bool> =
            sqlx08::query_scalar(is_at_the_end).bind(LISTENER).fetch_one(&self.pool).await?;
        Ok(found.unwrap_or_default())
    }
}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
enum OrderEvent {
    OrderPlaced {
        #[id]
        order_id: Uuid,
        order: OrderPlaced,
        metadata: Metadata,
    },
    OrderConfirmed {
        #[id]
        order_id: Uuid,
        confirmed: OrderConfirmed,
        metadata: Metadata,
    },
}

impl OrderEvent {
    /// Even numbers place an order.
    fn new(order_id: Uuid, number: u64) -> Self {
        let metadata = Metadata::new(number);
        if number.is_multiple_of(2) {
            Self::OrderPlaced { order_id, order: OrderPlaced::with_one_line(number), metadata }
        } else {
            Self::OrderConfirmed { order_id, confirmed: OrderConfirmed::new(number), metadata }
        }
    }
}

struct OrdersView {
    query: StreamQuery<PgEventId, OrderEvent>,
    pool: PgPool,
}

#[async_trait]
impl EventListener<PgEventId, OrderEvent> for OrdersView {
    type Error = anyhow::Error;

    fn id(&self) -> &'static str {
        LISTENER
    }

    fn query(&self) -> &StreamQuery<PgEventId, OrderEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, OrderEvent>) -> Result<()> {
        let statement = match event.into_inner() {
            OrderEvent::OrderPlaced { order_id, order, .. } => sqlx08::query(orders_view::PLACED)
                .bind(order_id)
                .bind(i64::try_from(order.total_cents)?)
                .bind(order.currency)
                .bind(order.placed_at),
            OrderEvent::OrderConfirmed { order_id, .. } => {
                sqlx08::query(orders_view::CONFIRMED).bind(order_id)
            }
        };
        statement.execute(&self.pool).await?;
        Ok(())
    }
}
