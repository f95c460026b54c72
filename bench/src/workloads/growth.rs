//! Appending to a log that has grown.

use super::{Plan, append, median};
use crate::load::Measured;
use crate::report::{Report, Target};
use crate::{ground, server};

const SMALL: i64 = 100_000;
const LARGE: i64 = 5_000_000;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Growth: 64 tasks at 100,000 and at 5,000,000 events");
    let (small, large) = (plan.server.database().await, plan.server.database().await);
    ground::fill(small.url(), SMALL).await?;
    ground::fill(large.url(), LARGE).await?;
    let stores = [server::store(small.url()).await?, server::store(large.url()).await?];
    let mut rates: [Vec<Measured>; 2] = Default::default();
    for _ in 0..plan.rounds {
        for (store, rates) in stores.iter().zip(&mut rates) {
            rates.push(append(store, 64, plan.time).await?);
        }
    }
    let [small, large] = rates.map(median);
    report.rate("at 100,000 events", small);
    report.rate("at 5,000,000 events", large);
    report.figure(
        "5,000,000 / 100,000",
        large.rate_per_s / small.rate_per_s,
        "",
        Target::AtLeast(0.85),
    );
    Ok(())
}
