//! One writer, one append after the other.

use super::{Plan, append, median};
use crate::report::{Report, Target};
use crate::{ground, server};

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("One writer: one append after the other");
    let (mut bare, mut alone) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        let database = plan.server.database().await;
        bare.push(ground::insert(database.url(), 1, plan.time).await?);
        let database = plan.server.database().await;
        alone.push(append(&server::store(database.url()).await?, 1, plan.time).await?);
    }
    let [bare, alone] = [bare, alone].map(median);
    report.rate("bare INSERT of the same rows, 1 a transaction", bare);
    report.rate("1 task", alone);
    report.figure(
        "p50 of 1 task / p50 of bare INSERT",
        alone.p50_ms / bare.p50_ms,
        "",
        Target::AtMost(1.3),
    );
    Ok(())
}
