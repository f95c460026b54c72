//! Messages that were in hand when a process ended: one of them may be why.
//!
//! When a process begins, what the broker gave out and nobody settled is noted. If that happens to
//! a message a second time, it is tried alone, and counted right before. If the process ends then,
//! too, it is held as dead.

use std::collections::HashMap;

use eventstore::answer::within;
use sqlx::PgPool;
use uuid::Uuid;

use super::Handler;
use super::delivery::{Delivery, Suspicion};
use super::worker::{Failure, Worker};

/// So often a message is tried together with others after a process ended, before it is tried alone.
const TOGETHER: i32 = 2;

/// Notes that `deliveries` were in hand when a process ended, and says how each goes on: as it is,
/// alone, or not at all.
pub(super) async fn note<H: Handler>(
    worker: &Worker<H>,
    mut deliveries: Vec<Delivery>,
) -> Result<Vec<Delivery>, Failure> {
    let marked = {
        let mut connection = within(worker.pool.acquire()).await?;
        within(worker.marker.marked(&mut connection, &deliveries)).await?
    };
    let ids: Vec<Uuid> = deliveries
        .iter()
        .zip(&marked)
        .filter_map(|(delivery, is_marked)| (!is_marked).then_some(delivery.id))
        .collect();
    let noted = sqlx::query!(
        r#"
        INSERT INTO relay.interrupted AS known (consumer, message_id, times)
        SELECT $1, given.id, 1
        FROM (SELECT DISTINCT id FROM unnest($2::uuid[]) AS given (id)) AS given
        ON CONFLICT (consumer, message_id) DO UPDATE
        SET times = CASE WHEN known.times < $3 THEN known.times + 1 ELSE known.times END
        RETURNING message_id, times
        "#,
        worker.config.name,
        &ids,
        TOGETHER,
    );
    let noted = within(noted.fetch_all(&worker.pool)).await?;
    let times: HashMap<Uuid, i32> =
        noted.into_iter().map(|row| (row.message_id, row.times)).collect();
    for delivery in &mut deliveries {
        delivery.suspicion = match times.get(&delivery.id) {
            Some(&times) if times > TOGETHER => Suspicion::Hopeless(times),
            Some(&TOGETHER) => Suspicion::Alone,
            Some(_) | None => Suspicion::None,
        };
    }
    Ok(deliveries)
}

/// Counts that `delivery` is tried alone.
pub(super) async fn count<H: Handler>(
    worker: &Worker<H>,
    delivery: &Delivery,
) -> Result<(), Failure> {
    let counted = sqlx::query!(
        r#"
        UPDATE relay.interrupted SET times = times + 1
        WHERE consumer = $1 AND message_id = $2
        "#,
        worker.config.name,
        delivery.id,
    );
    within(counted.execute(&worker.pool)).await?;
    Ok(())
}

/// Forgets all notes: nothing is in hand that was before.
pub(super) async fn forget(pool: &PgPool, consumer: &str) -> Result<(), sqlx::Error> {
    let forgotten = sqlx::query!("DELETE FROM relay.interrupted WHERE consumer = $1", consumer);
    within(forgotten.execute(pool)).await?;
    Ok(())
}
