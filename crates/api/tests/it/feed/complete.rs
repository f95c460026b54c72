//! Everything once and in order, whatever the pace and whoever serves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::eventually;
use tokio::task::JoinSet;

use super::world::{Process, confirm, order, place, receive, small, told};
use crate::support::{LIMIT, TestApp};

/// Orders that something happens to.
const ORDERS: u128 = 6;

/// Events of each writer.
const EVENTS: usize = 150;

/// What a reader asks for, and has got.
struct Reader {
    types: Option<&'static str>,
    subjects: Vec<String>,
    after: i64,
    seen: Mutex<Vec<(i64, String, String)>>,
}

impl Reader {
    fn random(random: &mut StdRng, head: i64) -> Self {
        let types =
            [None, None, Some("ordering.order-placed.v1"), Some("ordering.order-confirmed.v1")];
        let count = random.random_range(0..3);
        let subjects = (0..count).map(|_| order(random.random_range(0..ORDERS))).collect();
        let types = types[random.random_range(0..types.len())];
        let after = random.random_range(0..=head);
        Self { types, subjects, after, seen: Mutex::default() }
    }

    fn query(&self) -> String {
        let types = self.types.map(|name| format!("&type={name}"));
        let subjects = self.subjects.iter().map(|subject| format!("&subject={subject}"));
        let filter: String = types.into_iter().chain(subjects).collect();
        format!("after={}{filter}", self.after)
    }

    fn passes(&self, subject: &str, message_type: &str) -> bool {
        self.types.is_none_or(|name| name == message_type)
            && (self.subjects.is_empty() || self.subjects.iter().any(|wanted| wanted == subject))
    }

    /// Reads for ever, now from one process and now from the other, and loses the connection again
    /// and again.
    async fn read(&self, processes: &[Process], seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut last_event_id: Option<String> = None;
        loop {
            let process = &processes[random.random_range(0..processes.len())];
            let mut feed = process.resume(&self.query(), last_event_id.as_deref()).await;
            let idle = Duration::from_millis(random.random_range(1..300));
            for _ in 0..random.random_range(1..60) {
                if random.random_range(0..10) == 0 {
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
                }
                // A connection is lost also while nothing comes.
                let Ok(next) = tokio::time::timeout(idle, feed.0.next()).await else { break };
                let event = next.unwrap().expect("nobody ends it");
                let position = event.id.parse().unwrap();
                self.seen.lock().unwrap().push((position, event.event, event.data));
            }
            last_event_id = Some(feed.0.last_event_id().to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_told_everything_once_and_in_order() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let app = Arc::new(TestApp::new().await);
    for number in 0..50 {
        confirm(&app, number % ORDERS).await;
    }
    let processes =
        Arc::new([Process::start(&app, small()).await, Process::start(&app, small()).await]);
    let readers: Vec<_> = (0..16).map(|_| Arc::new(Reader::random(&mut random, 50))).collect();
    let mut reading = JoinSet::new();
    for reader in &readers {
        let (reader, processes, seed) =
            (Arc::clone(reader), Arc::clone(&processes), random.random());
        reading.spawn(async move { reader.read(&*processes, seed).await });
    }
    let mut writing = JoinSet::new();
    for _ in 0..4 {
        let (app, mut random) = (Arc::clone(&app), StdRng::seed_from_u64(random.random()));
        writing.spawn(async move {
            for _ in 0..EVENTS {
                let number = random.random_range(0..ORDERS);
                match random.random_range(0..4) {
                    0 => receive(&app, number).await,
                    1 => place(&app, number, 2).await,
                    _ => confirm(&app, number).await,
                };
                if random.random_range(0..20) == 0 {
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..50))).await;
                }
            }
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    for reader in &readers {
        let expected = told(&app, reader.after, |event, message_type| {
            reader.passes(event.stream.as_str(), message_type)
        })
        .await;
        eventually(LIMIT, "everything to be told", async || {
            assert!(reading.try_join_next().is_none(), "readers go on");
            let count = reader.seen.lock().unwrap().len();
            if count >= expected.len() { Ok(()) } else { Err((count, expected.len())) }
        })
        .await;
    }
    // Whatever comes twice has come by now.
    reading.shutdown().await;
    for reader in &readers {
        let expected = told(&app, reader.after, |event, message_type| {
            reader.passes(event.stream.as_str(), message_type)
        })
        .await;
        assert_eq!(*reader.seen.lock().unwrap(), expected, "{}", reader.query());
    }
}

/// What the ring has let go of comes from the log, and the rest from the ring.
#[tokio::test]
async fn who_is_far_behind_catches_up() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let mut first = process.open("").await;
    for number in 0..200 {
        confirm(&app, number % 3).await;
    }
    assert_eq!(first.positions(200).await, (1..=200).collect::<Vec<_>>());
    let mut late = process.open("after=0").await;
    let query = format!("after=0&subject={}", order(1));
    let mut picky = process.open(&query).await;
    for number in 0..30 {
        confirm(&app, number).await;
    }
    assert_eq!(late.positions(230).await, (1..=230).collect::<Vec<_>>());
    let expected = told(&app, 0, |event, _| event.stream.as_str() == order(1)).await;
    let expected: Vec<_> = expected.into_iter().map(|(position, ..)| position).collect();
    assert_eq!(picky.positions(expected.len()).await, expected);
}
