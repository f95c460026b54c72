//! The course of a drill: faults, with work done in between, and then the end, at which everything
//! must come to rest.

mod failure;
mod inflict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use eventstore::EventStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use relay::dead_letters::{self, State};
use sqlx::PgPool;
use testkit::{Postgres, Program, TestDatabase};
use tokio::time::{Instant, sleep};

use crate::MIGRATOR;
use crate::audit::{self, Audit};
use crate::broker::Broker;
use crate::effects::{self, CONSUMERS, Reached};
use crate::faults::Bag;
use crate::roles::{self, Settings};
use crate::subscriber::Subscriber;
use crate::writers::Writers;

/// Whatever stands still for so long does not go on by itself.
const STANDSTILL: Duration = Duration::from_mins(1);

/// The broker is the drill's own.
const NAMESPACE: &str = "drill";
const STREAM: &str = "DRILL";

const POLL: Duration = Duration::from_millis(50);

/// Everything that runs.
pub(crate) struct Drill {
    seed: u64,
    random: StdRng,
    postgres: Postgres,
    _database: TestDatabase,
    pool: PgPool,
    store: EventStore,
    broker: Broker,
    folder: PathBuf,
    relays: [Program; 2],
    consumers: [Program; 2],
    subscriber: Subscriber,
    writers: Option<Writers>,
    bag: Bag,
    begun: Instant,
    /// What was done when.
    history: Vec<String>,
    /// Dead letters that were tried again because somebody said so.
    retried: usize,
}

impl Drill {
    /// Starts everything, with a broker of one server or of three.
    pub(crate) async fn start(seed: u64, is_cluster: bool) -> Self {
        let postgres = Postgres::start_ephemeral().unwrap();
        let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
        let store = crate::open(database.url()).await;
        effects::prepare(store.pool()).await;
        let broker = Broker::start(is_cluster).await;
        let folder = format!("torture-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let settings = Settings {
            database: database.url().to_owned(),
            broker: broker.urls(),
            namespace: NAMESPACE.to_owned(),
            replicas: broker.len(),
            seed,
        };
        let process = |role: &str, number: u32| {
            let log = folder.join(format!("{role}-{number}.log"));
            let program = std::env::current_exe().unwrap();
            Program::start(&program, settings.arguments(role), &log).unwrap()
        };
        Self {
            seed,
            random: StdRng::seed_from_u64(seed),
            postgres,
            pool: store.pool().clone(),
            broker,
            relays: [process(roles::RELAY, 1), process(roles::RELAY, 2)],
            consumers: [process(roles::CONSUMERS, 1), process(roles::CONSUMERS, 2)],
            subscriber: Subscriber::start(&settings.broker, STREAM, &folder),
            writers: Some(Writers::start(&store, seed)),
            store,
            _database: database,
            folder,
            bag: Bag::default(),
            begun: Instant::now(),
            history: Vec::new(),
            retried: 0,
        }
    }

    /// Lets things go wrong for `time`, and then looks what became of it all.
    pub(crate) async fn run(mut self, time: Duration) -> String {
        self.progress(100).await;
        let over = Instant::now() + time;
        while Instant::now() < over {
            let fault = self.bag.draw(&mut self.random);
            self.inflict(fault).await;
            if self.random.random_ratio(3, 4) {
                let messages = self.random.random_range(20..400);
                self.progress(messages).await;
            }
            if self.random.random_ratio(1, 4) {
                self.redrive().await;
            }
        }
        self.note("writers end");
        let writers = self.writers.take().expect("they were started");
        let acknowledged = writers.finish().await;
        self.note("all comes to rest");
        let truth = audit::truth(&self.store).await;
        assert_eq!(
            truth.len() as u64,
            acknowledged,
            "what was acknowledged is in the outbox; seed {}",
            self.seed
        );
        self.come_to_rest(truth.len() as u64).await;
        self.note("at rest");
        let stream = self.stream().await.expect("the stream");
        let audit = Audit {
            seed: self.seed,
            truth: &truth,
            stream: audit::of_stream(&stream).await,
            subscriber: self.subscriber.record(),
            pool: &self.pool,
        };
        let told = audit.check().await;
        let _ = std::fs::remove_dir_all(&self.folder);
        format!("{}; {} dead letters retried; {told}", self.bag.told(), self.retried)
    }

    fn note(&mut self, what: &str) {
        let line = format!("{:7.2} s: {what}", self.begun.elapsed().as_secs_f64());
        self.history.push(line);
    }

    /// Waits until each consumer is done with, or has put aside, so many `messages` more.
    async fn progress(&self, messages: u64) {
        let begun = Instant::now();
        let mut goal = None;
        while begun.elapsed() < STANDSTILL {
            // A server that was killed comes back.
            if let Ok(reached) = effects::reached(&self.pool).await {
                let settled = reached.map(Reached::settled);
                if let Some(writers) = &self.writers {
                    writers.settled(settled[0].min(settled[1]));
                }
                let goal = goal.get_or_insert(settled.map(|settled| settled + messages));
                if settled.iter().zip(goal).all(|(settled, goal)| *settled >= *goal) {
                    return;
                }
            }
            sleep(POLL).await;
        }
        self.fail(&format!("not {messages} messages more within a minute")).await;
    }

    /// What is broken up to now is mended, and all dead letters are tried again.
    async fn redrive(&mut self) {
        self.note("redrive");
        let redrive = async {
            let head = self.store.head().await?;
            effects::mend(&self.pool, head.get()).await?;
            dead_letters::retry_all(&self.pool, None, "drill").await
        };
        // The operator, too, finds the database away.
        self.retried += redrive.await.unwrap_or_default();
    }

    /// Mends everything, and waits until each of `messages` is everywhere and nothing is held or
    /// on its way.
    async fn come_to_rest(&mut self, messages: u64) {
        let mut last = None;
        let mut moved = Instant::now();
        loop {
            if let Ok(retried) = self.redrive_all().await {
                self.retried += retried;
            }
            let reached = effects::reached(&self.pool).await.ok();
            let is_settled = reached.is_some_and(|reached| {
                reached.iter().all(|reached| reached.effects >= messages && reached.held == 0)
            });
            let now = (reached, self.subscriber.record_bytes());
            let has_all = || self.subscriber.record().len() as u64 >= messages;
            if is_settled && self.is_acknowledged().await && has_all() && last == Some(now) {
                return;
            }
            if last != Some(now) {
                (last, moved) = (Some(now), Instant::now());
            }
            if moved.elapsed() > STANDSTILL {
                self.fail(&format!("it does not come to rest with all {messages} messages")).await;
            }
            sleep(10 * POLL).await;
        }
    }

    /// Mends everything, and has dead letters tried again as long as there are any.
    async fn redrive_all(&self) -> Result<usize, sqlx::Error> {
        effects::mend(&self.pool, i64::MAX).await?;
        let letters = dead_letters::count(&self.pool).await?;
        if letters.iter().any(|(_, state, _)| *state == State::Dead) {
            return dead_letters::retry_all(&self.pool, None, "drill").await;
        }
        Ok(0)
    }

    /// Whether the broker has nothing left for the consumers.
    async fn is_acknowledged(&self) -> bool {
        let Ok(stream) = self.stream().await else { return false };
        for (name, _) in CONSUMERS {
            let Ok(info) = stream.consumer_info(name).await else { return false };
            if info.num_pending > 0 || info.num_ack_pending > 0 {
                return false;
            }
        }
        true
    }

    async fn stream(&self) -> Result<Stream, String> {
        let urls = self.broker.direct_urls();
        let client = async_nats::connect(urls).await.map_err(|error| error.to_string())?;
        let stream = jetstream::new(client).get_stream(STREAM).await;
        stream.map_err(|error| error.to_string())
    }
}
