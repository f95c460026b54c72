//! A read model that follows: how soon an append is seen in it, what it costs when nothing happens, and
//! what it costs a client to see its own writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::HashCost;
use anyhow::Context as _;
use api::feed::Feed;
use api::forwarded::TrustedProxies;
use api::serve::{Drain, DrainTimes, Server};
use api::{ApiState, Cursors, Grants, HttpMetrics, Limits, Origins, Queries};
use application::access::Access;
use application::identity::Identity;
use application::ports::IdSource;
use application::{CommandBus, Origin};
use chrono::{DateTime, Utc};
use domain::ids::ProductId;
use domain::values::{Money, ProductName, Sku, StockLevel};
use eventstore::{EventStore, KeyEncryptionKeys, Position, Wakeup};
use projections::engine::Reached;
use projections::freshness::Freshness;
use projections::orders::ORDERS;
use projections::{Engine, Projection, Worker};
use prometheus::Registry;
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rebuild::source;
use super::{Plan, median};
use crate::accounts;
use crate::load::{Measured, measured};
use crate::report::{Report, Target};
use crate::{event, server};

/// Events a second.
const RATE: u32 = 1_000;

/// Read models that have nothing to do.
const IDLE: usize = 10;

/// Queries of a client that reads what it wrote.
const QUERIES: u32 = 1_000;

/// How long they have nothing to do.
const QUIET: Duration = Duration::from_secs(10);

/// What a child process says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Idled {
    cpu_seconds: f64,
    server_cpu_seconds: f64,
    statements: f64,
}

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Follow: 1,000 events a second, from the acknowledgement to the row");
    let (mut bare, mut live, mut with, mut without) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.rounds {
        bare.push(bare_commits(plan).await?);
        let world = World::start(plan).await?;
        live.push(world.live(plan.time).await?);
        let (after_writing, again) = world.wait().await?;
        with.push(after_writing);
        without.push(again);
        world.stop().await?;
    }
    let [bare, live] = [bare, live].map(median);
    report.rate("bare commit of one row", bare);
    report.rate("acknowledged append to visible row", live);
    report.figure("p50 / bare p50", live.p50_ms / bare.p50_ms, "", Target::AtMost(5.0));
    report.figure("p99 / bare p50", live.p99_ms / bare.p50_ms, "", Target::AtMost(25.0));

    report.title("Wait: a query for what was just written");
    let [with, without] = [with, without].map(median);
    report.rate("query by id", without);
    report.rate("query by id right after its command, with its position", with);
    report.figure("with / without, p50", with.p50_ms / without.p50_ms, "", Target::AtMost(2.0));

    report.title("Idle: ten read models that have taken in everything");
    let database = plan.server.database().await;
    let output =
        Command::new(std::env::current_exe()?).args(["idle", database.url()]).output().await?;
    let idled: Idled = serde_json::from_slice(&output.stdout).context("read what it says")?;
    let seconds = QUIET.as_secs_f64();
    let cpu = (idled.cpu_seconds + idled.server_cpu_seconds) / seconds * 100.0;
    report.figure("of a core, with what the server does for it", cpu, "%", Target::AtMost(1.0));
    report.figure("statements a second", idled.statements / seconds, "", Target::AtMost(2.0));
    Ok(())
}

/// A log of orders that a process keeps a read model of.
struct World {
    store: EventStore,
    reached: Reached,
    product: ProductId,
    stop: CancellationToken,
    running: JoinHandle<()>,
    _database: testkit::TestDatabase,
}

impl World {
    async fn start(plan: &Plan<'_>) -> anyhow::Result<Self> {
        let database = plan.server.database().await;
        let store = server::store(database.url()).await?;
        let (reached, stop, running) = keep(&store, projections::ALL).await?;
        let bus = CommandBus::new(store.clone(), Arc::new(Now), Arc::new(Ids));
        let product = application::catalog::ListProduct {
            sku: Sku::try_from("SKU-1".to_owned())?,
            name: ProductName::try_from("Mug".to_owned())?,
            price: Money::new(100, "EUR".parse()?)?,
            stock: StockLevel::try_from(1_000_000_i64)?,
        };
        let (product, receipt) = bus.list_product(&origin(), product).await?;
        let world = Self { store, reached, product, stop, running, _database: database };
        world.passes(receipt.position).await?;
        Ok(world)
    }

    fn freshness(&self) -> Freshness {
        Freshness::new(self.store.pool().clone(), self.reached.clone())
    }

    async fn passes(&self, position: Position) -> anyhow::Result<()> {
        Ok(self.freshness().wait(&ORDERS, None, position, Duration::from_secs(10)).await?)
    }

    /// Places orders evenly, and times each from its acknowledgement to the commit that shows it.
    async fn live(&self, time: Duration) -> anyhow::Result<Measured> {
        let freshness = self.freshness();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        let begun = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        let mut times = Vec::new();
        while begun.elapsed() < time {
            ticks.tick().await;
            let (store, freshness) = (self.store.clone(), freshness.clone());
            running.spawn(async move {
                let position = store.append(crate::orders::placed(event::id())?).await?.position;
                let acknowledged = Instant::now();
                freshness.wait(&ORDERS, None, position, Duration::from_secs(10)).await?;
                anyhow::Ok(acknowledged.elapsed())
            });
            while let Some(done) = running.try_join_next() {
                times.push(done??);
            }
        }
        while let Some(done) = running.join_next().await {
            times.push(done??);
        }
        Ok(measured(times, begun.elapsed()))
    }

    /// A client over HTTP that writes and reads what it wrote, and then reads it once more.
    async fn wait(&self) -> anyhow::Result<(Measured, Measured)> {
        let feed = super::feed::feed(&self.store, &Registry::new())?;
        let (address, serving) = serve(&self.store, self.freshness(), feed).await?;
        let client = reqwest::Client::new();
        let orders = format!("http://{address}/v1/orders");
        let line = serde_json::json!({"product_id": self.product, "quantity": 1});
        let body = serde_json::json!({"lines": [line]});
        let (mut fresh, mut plain) = (vec![], vec![]);
        let whole = Instant::now();
        for _ in 0..QUERIES {
            let placed = client.post(&orders).json(&body).send().await?.error_for_status()?;
            let header = |name| placed.headers().get(name).context("an answer without it").cloned();
            let (position, place) = (header("annals-position")?, header("location")?);
            let order = format!("http://{address}{}", place.to_str()?);
            let query = client.get(&order).header("annals-min-position", position);
            fresh.push(answered(query).await?);
            plain.push(answered(client.get(&order)).await?);
        }
        serving.abort();
        let took = whole.elapsed();
        Ok((measured(fresh, took), measured(plain, took)))
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.running.await?)
    }
}

/// The API, beside the process that keeps the read models.
pub(super) async fn serve(
    store: &EventStore,
    freshness: Freshness,
    feed: Feed,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let keys = KeyEncryptionKeys::generate("bench")?;
    let accounts = accounts::open(store, &keys, HashCost::CHEAPEST).await?;
    serve_as(store, freshness, feed, accounts).await
}

/// [`serve`], with these accounts.
pub(super) async fn serve_as(
    store: &EventStore,
    freshness: Freshness,
    feed: Feed,
    (identity, access): (Identity, Access),
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let queries = Queries { source: source(store), freshness, wait: Duration::from_secs(2) };
    let bus = identity.bus().clone();
    let metrics = HttpMetrics::register(&Registry::new())?;
    let limits = Limits {
        body_bytes: 65_536,
        deadline: Duration::from_secs(10),
        rate: None,
        origins: Origins::default(),
        anonymous: Grants::all(),
    };
    let cursors = Cursors::load(store.pool()).await?;
    let ids = Arc::new(Ids);
    let state = ApiState { bus, identity, access, queries, cursors, feed, ids };
    let router = api::router(state, &metrics, limits);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server {
        listener,
        router,
        limits: api::serve::Limits {
            connections: 10_000,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
        },
        tls: None,
        proxies: TrustedProxies::default(),
        drain: Drain::default(),
    };
    let times = DrainTimes { delay: Duration::ZERO, limit: Duration::ZERO };
    Ok((address, tokio::spawn(server.run(times, CancellationToken::new()))))
}

/// How long the answer to a query takes.
async fn answered(query: reqwest::RequestBuilder) -> anyhow::Result<Duration> {
    let asked = Instant::now();
    let answer = query.send().await?.error_for_status()?;
    anyhow::ensure!(!answer.bytes().await?.is_empty(), "what was written is seen");
    Ok(asked.elapsed())
}

/// Starts a process that keeps `projections` of a log that is empty.
async fn keep(
    store: &EventStore,
    projections: &'static [&'static Projection],
) -> anyhow::Result<(Reached, CancellationToken, JoinHandle<()>)> {
    let pool = store.pool().clone();
    projections::prepare(&pool, projections).await?;
    let worker = Worker { id: event::id(), name: "bench".to_owned() };
    let (wakeup, changed) = (Wakeup::listen(pool.clone()), projections::engine::changes(pool));
    let engine = Engine::new(source(store), projections, worker, wakeup, changed);
    let (reached, stop) = (engine.reached(), CancellationToken::new());
    let running = tokio::spawn(engine.run(stop.clone()));
    let is_kept = || projections.iter().all(|of| reached.of(&of.model()).is_some());
    while !is_kept() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok((reached, stop, running))
}

/// What a child process does: keeps ten read models, while nothing happens.
pub(crate) async fn idle(url: &str) -> anyhow::Result<Idled> {
    let all: Vec<&'static Projection> = (0..IDLE)
        .map(|number| {
            let name: &'static str = Box::leak(format!("idle_{number}").into_boxed_str());
            &*Box::leak(Box::new(Projection { name, ..ORDERS }))
        })
        .collect();
    let store = server::store(url).await?;
    let (_, stop, running) = keep(&store, Box::leak(all.into_boxed_slice())).await?;
    let mut connection = PgConnection::connect(url).await?;
    // A session that rests tells the server's count after ten seconds what it did before.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (statements, server, own) =
        (statements(&mut connection).await?, server_cpu(&mut connection).await?, own_cpu()?);
    tokio::time::sleep(QUIET).await;
    let idled = Idled {
        cpu_seconds: own_cpu()? - own,
        server_cpu_seconds: server_cpu(&mut connection).await? - server,
        // Three looks are in it; each statement is a transaction.
        statements: (self::statements(&mut connection).await? - statements - 3.0).max(0.0),
    };
    stop.cancel();
    running.await?;
    Ok(idled)
}

async fn statements(connection: &mut PgConnection) -> anyhow::Result<f64> {
    let statements: i64 = sqlx::query_scalar(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(connection)
    .await?;
    Ok(f64::from(i32::try_from(statements)?))
}

/// What the sessions of this database have used so far.
async fn server_cpu(connection: &mut PgConnection) -> anyhow::Result<f64> {
    let sessions: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .fetch_all(connection)
    .await?;
    Ok(sessions.iter().filter_map(|pid| cpu(&format!("/proc/{pid}/stat")).ok()).sum())
}

fn own_cpu() -> anyhow::Result<f64> {
    cpu("/proc/self/stat")
}

/// The seconds that a process has used.
fn cpu(stat: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(stat)?;
    let fields = stat.rsplit_once(')').context("no stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    // Linux counts in hundredths of a second.
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// What a commit of one row takes on this machine.
async fn bare_commits(plan: &Plan<'_>) -> anyhow::Result<Measured> {
    let database = plan.server.database().await;
    let mut connection = PgConnection::connect(database.url()).await?;
    sqlx::raw_sql("CREATE TABLE bare (id uuid PRIMARY KEY, body text)")
        .execute(&mut connection)
        .await?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < plan.time / 2 {
        let asked = Instant::now();
        sqlx::query("INSERT INTO bare VALUES ($1, $2)")
            .bind(event::id())
            .bind("x".repeat(300))
            .execute(&mut connection)
            .await?;
        times.push(asked.elapsed());
    }
    Ok(measured(times, begun.elapsed()))
}

fn origin() -> Origin {
    let correlation_id = event::id();
    Origin {
        actor: "bench".to_owned(),
        tenant: None,
        correlation_id,
        trace: None,
        idempotency_key: None,
    }
}

pub(super) struct Ids;

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        event::id()
    }
}

pub(super) struct Now;

impl application::ports::Clock for Now {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}
