//! Writers of several processes on one log.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Plan, append, median};
use crate::load::Measured;
use crate::report::{Report, Target};
use crate::server;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Four processes of 16 writers, beside one of 64");
    let (mut one, mut four) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        let database = plan.server.database().await;
        one.push(together(database.url(), 1, 64, plan.time).await?);
        let database = plan.server.database().await;
        four.push(together(database.url(), 4, 16, plan.time).await?);
    }
    let [one, four] = [one, four].map(median);
    report.rate("1 process of 64", one);
    report.rate("4 processes of 16", four);
    report.figure(
        "4 processes / 1 process",
        four.rate_per_s / one.rate_per_s,
        "",
        Target::AtLeast(0.8),
    );
    Ok(())
}

/// What a child process does.
pub(crate) async fn write(url: &str, tasks: usize, time: Duration) -> anyhow::Result<Measured> {
    append(&server::store(url).await?, tasks, time).await
}

async fn together(
    url: &str,
    processes: usize,
    tasks: usize,
    time: Duration,
) -> anyhow::Result<Measured> {
    let program = std::env::current_exe()?;
    let start = || {
        Command::new(&program)
            .args(["write", url, &tasks.to_string(), &time.as_secs().to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    };
    let children = (0..processes).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let mut sum = Measured::default();
    for child in children {
        let output = child.wait_with_output().await?;
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        sum.rate_per_s += measured.rate_per_s;
        sum.p50_ms = sum.p50_ms.max(measured.p50_ms);
        sum.p99_ms = sum.p99_ms.max(measured.p99_ms);
    }
    Ok(sum)
}
