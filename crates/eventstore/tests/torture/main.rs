//! Everything at once, for as long as you like: 16 writers in three processes that are killed, a
//! server that is killed, and two readers that watch all the while, one page by page and one by a
//! subscription.
//!
//! `cargo test` runs it for some seconds, `make torture` for longer:
//! `cargo test --package eventstore --test torture -- --seconds 600 --seed 7`. The seed decides what
//! is appended and who is killed when; what the machine makes of it is its own.
//!
//! What must hold (laws 1 to 4): positions and versions run 1, 2, 3 … at every moment, commit order
//! is position order, and a reader never sees anything new at or before where it was; what was acknowledged is there as it was
//! acknowledged; what was not is there wholly or not at all, and can be asked for.

mod audit;
mod reader;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use eventstore::EventStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use testkit::{Postgres, TestDatabase};
use tokio::time::{Instant, sleep};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// How many write at once in each process.
const WRITERS: [usize; 3] = [6, 5, 5];

#[expect(clippy::print_stdout, reason = "the seed is what a failure is repeated with")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, url, writers, seed] = arguments.as_slice()
        && mode == "writer"
    {
        let writers = writers.parse().expect("a number");
        writer::run(url, writers, seed.parse().expect("a seed")).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let seed = value("--seed").unwrap_or_else(rand::random);
    let time = Duration::from_secs(value("--seconds").unwrap_or(8));
    println!(
        "torture for {} s, {} writers in {} processes, again with: --seed {seed}",
        time.as_secs(),
        WRITERS.iter().sum::<usize>(),
        WRITERS.len(),
    );
    let told = torture(seed, time).await;
    println!("{told}");
    ExitCode::SUCCESS
}

async fn torture(seed: u64, time: Duration) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut postgres = Postgres::start_ephemeral().expect("a server");
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let mut writers: Vec<_> = WRITERS
        .iter()
        .map(|&writers| writer::Process::start(database.url(), writers, random.random()))
        .collect();
    let readers = [
        reader::Reader::page(open(database.url()).await),
        reader::Reader::subscribe(open(database.url()).await),
    ];
    let over = Instant::now() + time;
    let (mut killed_writers, mut killed_servers) = (0, 0);
    while Instant::now() < over && readers.iter().all(reader::Reader::is_well) {
        sleep(Duration::from_millis(random.random_range(200..1_200))).await;
        if random.random_ratio(1, 4) {
            postgres.kill9();
            sleep(Duration::from_millis(random.random_range(0..300))).await;
            postgres.restart().expect("the server comes back");
            killed_servers += 1;
        } else {
            let process = random.random_range(0..WRITERS.len());
            writers[process].kill_and_start_again(database.url(), random.random());
            killed_writers += 1;
        }
    }
    let mut said = Vec::new();
    for writer in writers {
        said.extend(writer.kill());
    }
    let store = open(database.url()).await;
    let end = store.head().await.expect("the end of the log");
    let [pager, subscriber] = readers;
    let (pager, subscriber) = (pager.finish(end).await, subscriber.finish(end).await);
    let told = audit::check(&store, &said, &[&pager.ids, &subscriber.ids]).await;
    format!(
        "{told}; all of them seen in {} pages and by a subscription in {}; {killed_writers} \
         processes and {killed_servers} servers were killed",
        pager.pages, subscriber.pages,
    )
}

/// The store at `url`, as soon as the server lets anybody in.
async fn open(url: &str) -> EventStore {
    testkit::eventually(Duration::from_mins(1), "the log", async || {
        let pool = PgPoolOptions::new().max_connections(8).connect(url).await;
        let pool = pool.map_err(|error| error.to_string())?;
        EventStore::open(pool).await.map_err(|error| error.to_string())
    })
    .await
}
