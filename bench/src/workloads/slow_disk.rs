//! A disk whose flush takes a millisecond more, as in a cloud.

use sqlx::AssertSqlSafe;

use super::{Plan, append, median};
use crate::report::{Report, Target};
use crate::server;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Slow disk: 1 ms added to each flush (commit_delay), 256 tasks");
    let (mut fast, mut slow) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        for (delay, rounds) in [(0, &mut fast), (1_000, &mut slow)] {
            let database = plan.server.database().await;
            let name = database.name();
            let settings = format!(
                "ALTER DATABASE {name} SET commit_delay = {delay}; ALTER DATABASE {name} SET commit_siblings = 0"
            );
            sqlx::raw_sql(AssertSqlSafe(settings)).execute(&database.pool()).await?;
            rounds.push(append(&server::store(database.url()).await?, 256, plan.time).await?);
        }
    }
    let [fast, slow] = [fast, slow].map(median);
    report.rate("this disk", fast);
    report.rate("1 ms slower", slow);
    report.figure("slow / fast", slow.rate_per_s / fast.rate_per_s, "", Target::AtLeast(0.7));
    Ok(())
}
