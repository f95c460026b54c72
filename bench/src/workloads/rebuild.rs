//! A read model is made from a log of 1,000,000 events, beside a bare loop that does the same work and
//! nothing else, and beside what others have for it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use eventstore::{EventStore, Wakeup};
use projections::orders::ORDERS;
use projections::rebuild::{self, Options, Progress, Request};
use projections::{Engine, Source, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::read::peak_mib;
use super::{Plan, median};
use crate::load::{Measured, count, measured};
use crate::report::{Report, Target};
use crate::{orders, peers, server};

/// Events of the log.
const EVENTS: i64 = 1_000_000;

/// Events that go through a statement each, which takes long.
const FEW: i64 = 20_000;

/// Events of a page of the bare loop, as many as a rebuild takes.
const PAGE: i64 = 4_000;

/// Queries a second while a read model is made.
const QUERIES: u32 = 500;

/// What a child process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    seconds: f64,
    /// Above what the process took when it had nothing to do.
    memory_mib: f64,
}

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Rebuild: orders from a log of 1,000,000 events");
    let database = plan.server.database().await;
    let pool = server::pool(database.url()).await?;
    orders::fill(&pool, EVENTS).await?;
    let (mut bare, mut one, mut two, mut memory) = (vec![], vec![], vec![], 0.0_f64);
    for _ in 0..plan.rounds {
        orders::tables(&pool).await?;
        let began = Instant::now();
        let events = orders::set_wise(&pool, PAGE).await?;
        anyhow::ensure!(i64::try_from(events)? == EVENTS, "the bare loop took {events}");
        bare.push(rate(EVENTS, began.elapsed()));
        for (lanes, rates) in [("1", &mut one), ("2", &mut two)] {
            forget(&pool).await?;
            let made = make(database.url(), lanes).await?;
            is_complete(&pool).await?;
            rates.push(rate(EVENTS, Duration::from_secs_f64(made.seconds)));
            memory = memory.max(made.memory_mib);
        }
    }
    let [bare, one, two] = [bare, one, two].map(median);
    report.rate("bare loop, one connection, events", bare);
    report.rate("rebuild through one lane, events", one);
    report.rate("rebuild through two lanes, events", two);
    let ratio = |rate: Measured| rate.rate_per_s / bare.rate_per_s;
    report.figure("one lane / bare loop", ratio(one), "", Target::AtLeast(0.5));
    report.figure("two lanes / bare loop", ratio(two), "", Target::AtLeast(1.0));
    report.figure("memory of a rebuild above idle", memory, "MiB", Target::AtMost(128.0));
    beside_queries(&pool, database.url(), report).await?;
    drop(pool);
    beside_others(plan, report, two).await
}

/// Live queries while the read model is made anew, with the pace that is usual.
async fn beside_queries(pool: &PgPool, url: &str, report: &mut Report) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let alone = tokio::spawn(queries(pool.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.cancel();
    let alone = alone.await??;
    let stop = CancellationToken::new();
    let during = tokio::spawn(queries(pool.clone(), stop.clone()));
    let begun = Instant::now();
    make(url, "paced").await?;
    let seconds = begun.elapsed().as_secs_f64();
    stop.cancel();
    let during = during.await??;
    report.rate("queries by id, nothing is made", alone);
    report.rate("queries by id while orders are made anew and compared", during);
    let slower = during.p99_ms / alone.p99_ms;
    report.figure("p99 during / p99 alone", slower, "", Target::AtMost(3.0));
    report.note(format!("at that pace it took {seconds:.1} s, comparison and switch included"));
    Ok(())
}

/// Asks for orders by id, evenly, until `stop`.
async fn queries(pool: PgPool, stop: CancellationToken) -> anyhow::Result<Measured> {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / QUERIES);
    let (mut times, mut number) = (vec![], 0_u128);
    while !stop.is_cancelled() {
        ticks.tick().await;
        number = (number * 48_271 + 11) % 500_000;
        let id = Uuid::from_u128(0x0193_c0de_0000_7000_8000_0000_0000_0001 + number);
        let asked = Instant::now();
        let order = projections::orders::get(
            &pool,
            projections::Tenant::All,
            domain::ids::OrderId::new(id),
        )
        .await?;
        times.push(asked.elapsed());
        anyhow::ensure!(order.is_some_and(|order| order.lines.len() == 1), "order {id}");
    }
    Ok(measured(times, begun.elapsed()))
}

/// What a statement an event takes, by hand and by others.
async fn beside_others(plan: &Plan<'_>, report: &mut Report, ours: Measured) -> anyhow::Result<()> {
    let mut best = 0.0_f64;
    let (mut by_hand, database) = (vec![], plan.server.database().await);
    let pool = server::pool(database.url()).await?;
    orders::fill(&pool, FEW).await?;
    for _ in 0..plan.rounds {
        orders::tables(&pool).await?;
        let began = Instant::now();
        orders::row_by_row(&pool, FEW).await?;
        by_hand.push(rate(FEW, began.elapsed()));
    }
    let by_hand = median(by_hand);
    best = best.max(by_hand.rate_per_s);
    report.rate("by hand, a statement a row, events", by_hand);
    if let Some(programs) = &plan.peers {
        for peer in peers::ALL {
            for asynchronous in [false, true] {
                let few = u32::try_from(FEW)?;
                let answer =
                    programs.projection(peer, &plan.server.url(), few, asynchronous).await?;
                let how = if asynchronous { ", not waiting for the disk" } else { "" };
                match &answer.unsupported {
                    Some(why) if !asynchronous => report.note(format!("{peer}: {why}")),
                    Some(_) => {}
                    None => {
                        best = best.max(answer.rate_per_s);
                        report.rate(format!("{peer}{how}, events"), answer.measured());
                    }
                }
            }
        }
    }
    let times = ours.rate_per_s / best;
    report.figure("rebuild / the best of these", times, "", Target::AtLeast(5.0));
    Ok(())
}

/// The read model is not there any more.
async fn forget(pool: &PgPool) -> anyhow::Result<()> {
    let forget = "DROP SCHEMA IF EXISTS orders_v4 CASCADE; DELETE FROM projections.generations";
    sqlx::raw_sql(forget).execute(pool).await?;
    Ok(())
}

async fn is_complete(pool: &PgPool) -> anyhow::Result<()> {
    let confirmed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM orders_v4.orders JOIN orders_v4.order_lines USING (order_id) WHERE status = 'confirmed'",
    )
    .fetch_one(pool)
    .await?;
    anyhow::ensure!(confirmed == EVENTS / 2, "the read model holds {confirmed} confirmed orders");
    Ok(())
}

async fn make(url: &str, lanes: &str) -> anyhow::Result<Made> {
    let output = Command::new(std::env::current_exe()?)
        .args(["make", url, lanes])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    serde_json::from_slice(&output.stdout).context("read what the child process says")
}

/// What a child process does: as `annals projections rebuild`, through so many lanes at full speed, or
/// `paced` as it is by default.
pub(crate) async fn child(url: &str, lanes: &str) -> anyhow::Result<Made> {
    let options = match lanes {
        "paced" => Options::default(),
        lanes => Options { lanes: lanes.parse()?, slowdown: None, hold: false },
    };
    let store = server::store(url).await?;
    let pool = store.pool().clone();
    let worker = Worker { id: crate::event::id(), name: "bench".to_owned() };
    let (stop, running) = start(&store, worker.clone());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle = peak_mib()?;
    let request = Request { projection: &ORDERS, worker: &worker, by: "bench" };
    let began = Instant::now();
    let id = rebuild::begin(&pool, request, options).await?;
    while !is_live(rebuild::progress(&pool, id).await?)? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    running.await?;
    Ok(Made { seconds, memory_mib: peak_mib()? - idle })
}

fn is_live(progress: Option<Progress>) -> anyhow::Result<bool> {
    let progress = progress.context("the generation is gone")?;
    if let Some(trouble) = progress.trouble {
        anyhow::bail!("it does not go on: {trouble}");
    }
    if let Some(comparison) = progress.comparison {
        anyhow::ensure!(comparison.is_equal(), "{comparison:?}");
    }
    Ok(progress.state == "live")
}

fn start(store: &EventStore, worker: Worker) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    static ALL: [&projections::Projection; 1] = [&ORDERS];
    let (pool, stop) = (store.pool().clone(), CancellationToken::new());
    let (wakeup, changed) = (Wakeup::listen(pool.clone()), projections::engine::changes(pool));
    let engine = Engine::only_making(source(store), &ALL, worker, wakeup, changed);
    let running = tokio::spawn(engine.run(stop.clone()));
    (stop, running)
}

/// The log, read as the domain says it.
pub(super) fn source(store: &EventStore) -> Source {
    Source { store: store.clone(), decode: |recorded| Ok(application::decode(recorded)?) }
}

fn rate(events: i64, took: Duration) -> Measured {
    let events = usize::try_from(events).unwrap_or_default();
    Measured { rate_per_s: count(events) / took.as_secs_f64(), ..Measured::default() }
}
