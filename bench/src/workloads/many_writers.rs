//! Many writers of one process, each with streams of its own.

use super::{Plan, append, median};
use crate::report::{Report, Target};
use crate::{by_hand, event, ground, load, peers, server};

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Many writers: one event and one outbox row an append, command ids recorded");
    let (mut bare, mut at_64, mut at_256, mut hand) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.rounds {
        let database = plan.server.database().await;
        bare.push(ground::insert(database.url(), 1_000, plan.time).await?);
        let database = plan.server.database().await;
        let store = server::store(database.url()).await?;
        at_64.push(append(&store, 64, plan.time).await?);
        at_256.push(append(&store, 256, plan.time).await?);
        let database = plan.server.database().await;
        let pool = server::pool(database.url()).await?;
        by_hand::prepare(&pool).await?;
        let appending = load::run(64, plan.time, move |_| {
            let pool = pool.clone();
            async move { by_hand::append(&pool, event::id()).await }
        });
        hand.push(appending.await?);
    }
    let [bare, at_64, at_256, hand] = [bare, at_64, at_256, hand].map(median);
    report.rate("bare multi-row INSERT, 1,000 rows a transaction", bare);
    report.rate("64 tasks", at_64);
    report.rate("256 tasks", at_256);
    report.rate("by hand, 64 tasks", hand);
    report.figure(
        "64 tasks / bare INSERT",
        at_64.rate_per_s / bare.rate_per_s,
        "",
        Target::AtLeast(0.5),
    );
    report.figure(
        "256 tasks / bare INSERT",
        at_256.rate_per_s / bare.rate_per_s,
        "",
        Target::AtLeast(0.7),
    );
    report.figure(
        "64 tasks / by hand",
        at_64.rate_per_s / hand.rate_per_s,
        "",
        Target::AtLeast(5.0),
    );
    report.figure("p99 of 64 tasks", at_64.p99_ms, "ms", Target::AtMost(10.0));
    let Some(programs) = &plan.peers else { return Ok(()) };
    let mut best: f64 = 0.0;
    for peer in peers::ALL {
        let options = ["--tasks", "64", "--seconds", &plan.time.as_secs().to_string()];
        let options = options.map(str::to_owned);
        let answer = programs.run(peer, "append", &plan.server.url(), &options).await?;
        report.rate(format!("{peer}, 64 tasks (no outbox)"), answer.measured());
        best = best.max(answer.rate_per_s);
    }
    report.figure("64 tasks / best peer", at_64.rate_per_s / best, "", Target::AtLeast(4.0));
    Ok(())
}
