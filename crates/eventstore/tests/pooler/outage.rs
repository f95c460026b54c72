//! The pooler and the server go away and come back while everything happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventstore::{AppendError, CommandId, EventStore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::followers::follow;
use crate::sessions;
use crate::site::{Site, exactly, log, to};

const STORES: usize = 3;
const WRITERS: usize = 12;

/// How long the one that is killed is away.
const PAUSE: Duration = Duration::from_millis(700);

/// How long a writer may be without success after everything is back: an answer is waited for
/// 10 s, and a connection of the pool for 30 s.
const BACK: Duration = Duration::from_secs(45);

pub(crate) async fn everything_comes_back(site: &mut Site) -> String {
    let database = site.database().await;
    let mut stores = Vec::new();
    for _ in 0..STORES {
        stores.push(site.store(&database).await);
    }
    let followers = follow(&stores);
    let is_over = Arc::new(AtomicBool::new(false));
    let progress: Arc<Vec<AtomicU64>> = Arc::new((0..WRITERS).map(|_| AtomicU64::new(0)).collect());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores[writer % STORES].clone();
        writers.spawn(write(store, writer, Arc::clone(&progress), Arc::clone(&is_over)));
    }
    let mut slowest = Vec::new();
    all_go_on(&progress).await;
    for round in 0..6 {
        match round % 3 {
            0 => {
                site.pgbouncer.kill9();
                sleep(PAUSE).await;
                site.pgbouncer.restart().expect("the pooler comes back");
            }
            1 => {
                site.postgres.kill9();
                sleep(PAUSE).await;
                site.postgres.restart().expect("the server comes back");
            }
            _ => site.postgres.restart().expect("the server comes back"),
        }
        slowest.push(all_go_on(&progress).await);
    }
    is_over.store(true, Ordering::Relaxed);
    let (mut expected, mut open) = (Vec::new(), 0);
    for (commands, unconfirmed) in writers.join_all().await {
        expected.extend(commands);
        open += unconfirmed;
    }

    let log = log(&stores[0]).await;
    let mut found: Vec<_> = log.iter().map(|event| event.command_id.get()).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = expected.iter().map(|command| command.get()).collect();
    expected.sort_unstable();
    assert_eq!(found, expected, "each acknowledged command once, and nothing else");
    assert!(open > 0, "somebody was cut off");
    let followed = followers.len();
    for follower in followers {
        follower.assert_saw(&log).await;
    }
    sessions::assert_nothing_is_left(site, &database).await;
    let slowest: Vec<_> = slowest.iter().map(|took| format!("{:.1}", took.as_secs_f64())).collect();
    format!(
        "{} events, {open} answers got lost and were found again, {followed} followers saw each event once; \
         until all wrote again {} s",
        log.len(),
        slowest.join(", ")
    )
}

/// Gives each command again until it is known what became of it; answers with all that took effect
/// and how many answers were none.
async fn write(
    store: EventStore,
    writer: usize,
    progress: Arc<Vec<AtomicU64>>,
    is_over: Arc<AtomicBool>,
) -> (Vec<CommandId>, usize) {
    let (mut written, mut open) = (Vec::new(), 0);
    for version in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let append = to(&format!("own-{writer}"), exactly(version), 1);
        loop {
            match store.append(append.clone()).await {
                Ok(_) => break,
                Err(AppendError::Unconfirmed { .. }) => open += 1,
                Err(AppendError::Unavailable { .. }) => {}
                // A server that starts up, or that ends: it says so.
                Err(AppendError::Refused { source }) if source.to_string().contains("recovery") => {
                }
                Err(error) => panic!("{error:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
        written.push(append.command_id);
        progress[writer].fetch_add(1, Ordering::Relaxed);
    }
    (written, open)
}

/// Waits until every writer has had success; answers how long that took.
async fn all_go_on(progress: &[AtomicU64]) -> Duration {
    let began = Instant::now();
    let before: Vec<_> = progress.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    testkit::eventually(BACK, "every writer to go on", async || {
        let now = progress.iter().zip(&before);
        let stuck = now.filter(|(count, before)| count.load(Ordering::Relaxed) == **before).count();
        if stuck == 0 { Ok(()) } else { Err(format!("{stuck} writers wait")) }
    })
    .await;
    began.elapsed()
}
