//! The course of a drill: faults, with work done in between, and then the end, at which everything
//! must come to rest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use eventstore::EventStore;
use eventstore::cursor::LEASE;
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
use crate::faults::{Bag, Fault};
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
        eprintln!("{line}");
        self.history.push(line);
    }

    async fn inflict(&mut self, fault: Fault) {
        self.bag.count(fault);
        self.note(&format!("{fault:?}"));
        match fault {
            Fault::KillRelay => {
                let killed = self.random.random_range(0..2);
                self.relays[killed].kill9();
                self.pause(0..300).await;
                self.relays[killed].restart().unwrap();
            }
            Fault::KillConsumers => {
                let killed = self.random.random_range(0..2);
                self.consumers[killed].kill9();
                self.pause(0..300).await;
                self.consumers[killed].restart().unwrap();
            }
            Fault::KillBroker => {
                let killed = self.some_node().await;
                self.broker.node(killed).kill9();
                self.pause(0..300).await;
                self.broker.node(killed).restart().expect("the server comes back");
            }
            Fault::KillDatabase => {
                self.postgres.kill9();
                self.pause(0..300).await;
                self.postgres.restart().expect("the server comes back");
            }
            Fault::FreezeRelay => {
                let frozen = self.random.random_range(0..2);
                self.relays[frozen].pause();
                self.meanwhile().await;
                self.relays[frozen].resume();
            }
            Fault::FreezeConsumers => {
                let frozen = self.random.random_range(0..2);
                self.consumers[frozen].pause();
                self.meanwhile().await;
                self.consumers[frozen].resume();
            }
            Fault::FreezeBroker => {
                let frozen = self.some_node().await;
                self.broker.node(frozen).pause();
                // Of three, the others elect another leader within some seconds.
                self.pause(100..if self.broker.len() > 1 { 8_000 } else { 1_000 }).await;
                self.broker.node(frozen).resume();
            }
            Fault::FreezeDatabase => {
                self.postgres.pause();
                self.pause(100..1_000).await;
                self.postgres.resume();
            }
            Fault::FreezeLeader => self.freeze_leader().await,
            Fault::FreezeOwner => {
                let frozen = self.random.random_range(0..2);
                self.consumers[frozen].pause();
                sleep(LEASE + Duration::from_millis(700)).await;
                self.consumers[frozen].resume();
            }
            Fault::CutLines => self.broker.lines().iter().for_each(testkit::Line::cut),
            Fault::SlowLines => {
                let delay = Duration::from_millis(self.random.random_range(5..150));
                self.broker.lines().iter().for_each(|line| line.delay(delay));
                self.pause(300..1_500).await;
                self.broker.lines().iter().for_each(|line| line.delay(Duration::ZERO));
            }
            Fault::SilentLines => self.broker.lines().iter().for_each(testkit::Line::fall_silent),
        }
    }

    /// One of the broker's servers; of three, every other time, the one that leads the stream.
    async fn some_node(&mut self) -> usize {
        let any = self.random.random_range(0..self.broker.len());
        if self.broker.len() == 1 || self.random.random_ratio(1, 2) {
            return any;
        }
        let stream = self.stream().await.ok();
        let leader =
            stream.and_then(|stream| stream.cached_info().cluster.as_ref()?.leader.clone());
        leader.and_then(|leader| self.broker.number(&leader)).unwrap_or(any)
    }

    /// Some time in which a process is frozen and, perhaps, something else happens.
    async fn meanwhile(&mut self) {
        self.pause(50..500).await;
        match self.random.random_range(0..6) {
            0 => Box::pin(self.inflict(Fault::KillBroker)).await,
            1 => Box::pin(self.inflict(Fault::KillDatabase)).await,
            2 => Box::pin(self.inflict(Fault::CutLines)).await,
            _ => {}
        }
        self.pause(50..500).await;
    }

    /// Freezes the relay that leads until the other one leads and publishes, and some time more.
    async fn freeze_leader(&mut self) {
        let epoch = |relay: &Program| {
            let said = relay.said();
            let leads = said.lines().last()?.strip_prefix("leads ")?;
            leads.split(' ').next()?.parse::<i64>().ok()
        };
        let leader = testkit::eventually(STANDSTILL, "a relay that leads", async || {
            let leader = (0..2).max_by_key(|&relay| epoch(&self.relays[relay]));
            leader.filter(|&relay| epoch(&self.relays[relay]).is_some()).ok_or("none")
        })
        .await;
        let before = epoch(&self.relays[leader]);
        self.relays[leader].pause();
        let frozen = Instant::now();
        while epoch(&self.relays[1 - leader]) <= before {
            if frozen.elapsed() > STANDSTILL {
                self.fail("no relay goes on when the leading one is frozen").await;
            }
            sleep(POLL).await;
        }
        self.pause(0..1_000).await;
        self.relays[leader].resume();
    }

    async fn pause(&mut self, range_ms: std::ops::Range<u64>) {
        let pause = Duration::from_millis(self.random.random_range(range_ms));
        sleep(pause).await;
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

    /// Says what was seen last, and ends.
    async fn fail(&self, what: &str) -> ! {
        let mut seen = format!("{what}; again with: --seed {}\n", self.seed);
        let mut add = |name: &str, text: String| seen.push_str(&format!("--- {name}\n{text}\n"));
        for (role, programs) in [("relay", &self.relays), ("consumers", &self.consumers)] {
            for (number, program) in (1..).zip(programs) {
                let said = program.said();
                let tail: Vec<&str> = said.lines().rev().take(6).collect();
                add(&format!("{role} {number}, last line first"), tail.join("\n"));
            }
        }
        add("what was done", self.history.join("\n"));
        add("reached", format!("{:?}", effects::reached(&self.pool).await));
        add("dead letters", format!("{:?}", dead_letters::count(&self.pool).await));
        for table in [
            "SELECT coalesce(string_agg(row_to_json(t)::text, E'\\n'), '') FROM eventstore.cursors AS t",
            "SELECT coalesce(string_agg(row_to_json(t)::text, E'\\n'), '') FROM relay.consumers AS t",
            "SELECT coalesce(string_agg(row_to_json(t)::text, E'\\n'), '') FROM relay.interrupted AS t",
            "SELECT coalesce(string_agg(row_to_json(t)::text, E'\\n'), '')
             FROM (SELECT pid, state, wait_event, pg_blocking_pids(pid) AS behind, now() - xact_start AS since,
                          left(query, 100) AS query FROM pg_stat_activity
                   WHERE state <> 'idle') AS t",
        ] {
            let rows: Result<String, _> = sqlx::query_scalar(table).fetch_one(&self.pool).await;
            add("table", rows.unwrap_or_else(|error| error.to_string()));
        }
        match self.stream().await {
            Ok(stream) => {
                add("stream", format!("{:?}", stream.cached_info().state));
                for (name, _) in CONSUMERS {
                    add(name, format!("{:?}", stream.consumer_info(name).await));
                }
            }
            Err(error) => add("stream", error),
        }
        add("subscriber has", self.subscriber.record().len().to_string());
        panic!("{seen}logs are in {}", self.folder.display());
    }
}
