//! Drops marks that are not needed any more.

use std::time::Duration;

use eventstore::answer::within;
use tokio::time::sleep;

use super::worker::Worker;
use super::{Handler, Marks};

/// How often it is looked.
const EVERY: Duration = Duration::from_hours(1);

/// Drops marks of days into which none came for as long as they are kept, for ever.
pub(super) async fn retire<H: Handler>(worker: &Worker<H>) {
    let Marks::Inbox { keep_days } = worker.config.marks else {
        return std::future::pending().await;
    };
    loop {
        let retired = sqlx::query_scalar!(
            r#"SELECT relay.retire_inbox($1) AS "days!""#,
            i32::from(keep_days.max(1))
        );
        match within(retired.fetch_one(&worker.pool)).await {
            Ok(0) => {}
            Ok(days) => {
                tracing::info!(consumer.name = %worker.config.name, days, "dropped old marks");
            }
            Err(error) => tracing::warn!(%error, "could not drop old marks, will try again"),
        }
        sleep(EVERY).await;
    }
}
