//! The read model that a projection makes: the orders, and how they stand.
//!
//! The statements of the handlers are here, so that they are the same for every peer. Both may be
//! run again for the same event, which every peer demands of a handler.

use anyhow::{Result, ensure};
use sqlx::{Connection as _, PgConnection};

use crate::order::OrderPlaced;
use crate::scratch::Scratch;

const SCHEMA: &str = "
    CREATE TABLE orders_view (
        order_id uuid PRIMARY KEY,
        status text NOT NULL,
        total bigint NOT NULL,
        currency text NOT NULL,
        placed_at timestamptz NOT NULL
    )";

/// What a placed order does: its id, total, currency, and the time as text.
pub(crate) const PLACED: &str = "
    INSERT INTO orders_view (order_id, status, total, currency, placed_at)
    VALUES ($1::uuid, 'placed', $2, $3, $4::text::timestamptz)
    ON CONFLICT (order_id) DO NOTHING";

/// What a confirmed order does: its id.
pub(crate) const CONFIRMED: &str = "
    UPDATE orders_view SET status = 'confirmed' WHERE order_id = $1::uuid";

/// Looks at the table from outside.
pub(crate) struct OrdersView(PgConnection);

impl OrdersView {
    /// Makes the table.
    ///
    /// It must not be vacuumed while it is empty: PostgreSQL would then know that it has no pages,
    /// and plan to read it from end to end for each order that is confirmed.
    pub(crate) async fn create(scratch: &Scratch) -> Result<Self> {
        let mut connection = scratch.connection().await?;
        sqlx::query(SCHEMA).execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// How many orders are confirmed.
    pub(crate) async fn confirmed(&mut self) -> Result<u64> {
        let count = "SELECT count(*) FROM orders_view WHERE status = 'confirmed'";
        let confirmed: i64 = sqlx::query_scalar(count).fetch_one(&mut self.0).await?;
        Ok(u64::try_from(confirmed)?)
    }

    /// Fails unless the table is what `events` events make of it.
    pub(crate) async fn verify(mut self, events: u64) -> Result<()> {
        let seen: (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE status = 'confirmed'),
                coalesce(sum(total), 0)::bigint,
                count(*) FILTER (WHERE currency = $1 AND placed_at = $2::text::timestamptz)
             FROM orders_view",
        )
        .bind(OrderPlaced::with_one_line(0).currency)
        .bind(OrderPlaced::with_one_line(0).placed_at)
        .fetch_one(&mut self.0)
        .await?;
        self.0.close().await?;
        let orders = i64::try_from(events / 2)?;
        let expected = (orders, orders, i64::try_from(sum_of_totals(events))?, orders);
        ensure!(seen == expected, "the read model is wrong: {seen:?} instead of {expected:?}");
        Ok(())
    }
}

fn sum_of_totals(events: u64) -> u64 {
    (0..events).step_by(2).map(|number| OrderPlaced::with_one_line(number).total_cents).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_event_places_an_order() {
        let total = |number| OrderPlaced::with_one_line(number).total_cents;
        assert_eq!(sum_of_totals(4), total(0) + total(2));
        assert_ne!(total(0), total(2));
    }
}
