//! Many tasks that want to write one stream.

use std::sync::Arc;

use eventstore::aggregate::{Repository, Settings};
use eventstore::evolution::Evolution;

use super::{Plan, commands, median};
use crate::report::{Report, Target};
use crate::server;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Conflict storm: commands on one aggregate");
    let (mut alone, mut crowd) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        for (tasks, rounds) in [(1, &mut alone), (64, &mut crowd)] {
            let database = plan.server.database().await;
            let store = server::store(database.url()).await?;
            let accounts =
                Repository::new(store, Arc::new(Evolution::default()), Settings::default());
            rounds.push(commands::execute(accounts, tasks, 1, plan.time).await?);
        }
    }
    let [alone, crowd] = [alone, crowd].map(median);
    report.rate("1 task", alone);
    report.rate("64 tasks", crowd);
    report.figure(
        "64 tasks / 1 task",
        crowd.rate_per_s / alone.rate_per_s,
        "",
        Target::AtLeast(0.5),
    );
    Ok(())
}
