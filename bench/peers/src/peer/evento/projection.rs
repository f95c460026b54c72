//! A read model of evento: a durable subscription whose handlers write to a pool that they get as
//! data, which is where its documentation has read models updated. What it calls a projection is
//! one aggregate, made from its events when it is loaded.
//!
//! The checkpoint, its cursor, is a statement of its own after each chunk, and a handler gets one
//! event; so each event is a transaction of its own, and those of a chunk are delivered again if
//! the subscription ends in between.
//!
//! Settings: chunks of [`CHUNK`], for the reason that [`super`] gives.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use evento::cursor::Args;
use evento::metadata::Event;
use evento::subscription::{Context, SubscriptionBuilder};
use evento::{EventFilter, Executor, TenantFilter};
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{CHUNK, commit, open};
use crate::args::Settings;
use crate::order::{OrderConfirmed, OrderPlaced};
use crate::orders_view;
use crate::peer::{self, Attempt, NewStream};
use crate::scratch::Scratch;

/// The name under which the checkpoint is stored.
const SUBSCRIPTION: &str = "orders";

#[derive(Clone)]
pub(crate) struct Projector {
    executor: evento::Postgres,
    pool: PgPool,
}

impl peer::Projector for Projector {
    async fn open(scratch: &Scratch, settings: Settings) -> Result<Self> {
        let pool = open(scratch, settings).await?;
        Ok(Self { executor: pool.clone().into(), pool })
    }

    /// Through `append`, both events of an order in one commit.
    async fn preload(&self, orders: &[NewStream]) -> Result<()> {
        for order in orders {
            let mut write = evento::append(order.id.to_string());
            for number in order.numbers.clone() {
                if number.is_multiple_of(2) {
                    write.event(&Placed { order: OrderPlaced::with_one_line(number) });
                } else {
                    write.event(&Confirmed { confirmed: OrderConfirmed::new(number) });
                }
            }
            let attempt = commit(&mut write, order.numbers.start, &self.executor).await?;
            ensure!(attempt == Attempt::Done, "an order of the preload is there already");
        }
        Ok(())
    }

    async fn project(&self, stop: oneshot::Receiver<()>) -> Result<()> {
        let subscription = SubscriptionBuilder::new(SUBSCRIPTION)
            .data(self.pool.clone())
            .handler(on_placed())
            .handler(on_confirmed())
            .chunk_size(CHUNK)
            .start(&self.executor)
            .await?;
        tokio::select! {
            _ = stop => Ok(subscription.shutdown().await?),
            reason = subscription.stopped() => bail!("the subscription stopped: {reason}"),
        }
    }

    async fn is_at_the_end(&self) -> Result<bool> {
        let orders: Arc<[_]> = [EventFilter::by_type::<Order>()].into();
        let last = Args::backward(1, None);
        let last = self.executor.read(Some(orders), None, TenantFilter::All, last, None).await?;
        let cursor: Option<String> =
            sqlx::query_scalar("SELECT cursor FROM subscriber WHERE key = $1")
                .bind(SUBSCRIPTION)
                .fetch_one(&self.pool)
                .await?;
        Ok(cursor == last.edges.first().map(|edge| edge.cursor.0.clone()))
    }
}

#[evento::aggregate(name = "peers/Order")]
pub(crate) enum Order {
    Placed { order: OrderPlaced },
    Confirmed { confirmed: OrderConfirmed },
}

#[evento::subscription]
async fn on_placed<E: Executor>(context: &Context<'_, E>, event: Event<Placed>) -> Result<()> {
    let order = &event.data.order;
    sqlx::query(orders_view::PLACED)
        .bind(&event.aggregate_id)
        .bind(i64::try_from(order.total_cents)?)
        .bind(&order.currency)
        .bind(&order.placed_at)
        .execute(&context.extract::<PgPool>())
        .await?;
    Ok(())
}

#[evento::subscription]
async fn on_confirmed<E: Executor>(
    context: &Context<'_, E>,
    event: Event<Confirmed>,
) -> Result<()> {
    sqlx::query(orders_view::CONFIRMED)
        .bind(&event.aggregate_id)
        .execute(&context.extract::<PgPool>())
        .await?;
    Ok(())
}
