//! The HTTP surface: what its layers take, beside bare routes of the same framework.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use application::catalog::ListProduct;
use application::ordering::PlaceOrder;
use application::{CommandBus, Origin};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use domain::ids::ProductId;
use domain::ordering::{RequestedLine, RequestedLines};
use domain::values::{Money, ProductName, Quantity, Sku, StockLevel};
use eventstore::{EventStore, Wakeup};
use projections::Engine;
use serde_json::{Value, json};
use sqlx::{PgPool, Row as _};
use testkit::TestDatabase;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Plan, follow, median};
use crate::load::{self, Measured, count};
use crate::report::{Report, Target};
use crate::{event, server, wrk};

/// Of what nothing is read or written.
const PLAIN: &str = "/problems/not-found";

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("HTTP: 64 connections of wrk on the same cores");
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    let bus = CommandBus::new(store.clone(), Arc::new(follow::Now), Arc::new(follow::Ids));
    let product = product(&bus, &store).await?;
    let address = format!("/v1/products/{product}");
    let (bare, ours) =
        (start("bare", &database, &[]).await?, start("serve-feed", &database, &[]).await?);
    let (mut nothing, mut query) = (Pair::default(), Pair::default());
    let (mut placed, mut decided) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        nothing.bare.push(bare.ask(PLAIN, None, plan.time).await?);
        nothing.ours.push(ours.ask(PLAIN, None, plan.time).await?);
        query.bare.push(bare.ask(&address, None, plan.time).await?);
        query.ours.push(ours.ask(&address, None, plan.time).await?);
        placed.push(ours.ask("/v1/orders", Some(&script(product)), plan.time).await?);
        decided.push(decide(&bus, product, plan.time).await?);
    }
    let of = |asked: Vec<Asked>| middle(asked, |asked| asked.rate);
    let (placed, decided) = (of(placed), median(decided));
    let cost = middle(nothing.ours.clone(), |asked| asked.cpu_us).cpu_us
        - middle(nothing.bare.clone(), |asked| asked.cpu_us).cpu_us;
    let (bare_route, all_layers) = (of(nothing.bare), of(nothing.ours));
    let (query_bare, query_ours) = (of(query.bare), of(query.ours));
    for (what, asked) in [
        ("bare route", bare_route),
        ("the same through all layers", all_layers),
        ("bare route with one prepared select", query_bare),
        ("product by id", query_ours),
        ("place an order, durable", placed),
    ] {
        let Asked { rate, cpu_us } = asked;
        report.note(format!("{what}: {rate:.0}/s, {cpu_us:.1} us of the server's CPU each"));
    }
    report.rate("the same orders by the library, 64 tasks", decided);
    report.figure("layers, CPU a request over the bare route", cost, "us", Target::AtMost(25.0));
    let ratio = query_ours.rate / query_bare.rate;
    report.figure("product by id / bare route with select", ratio, "", Target::AtLeast(0.7));
    let ratio = placed.rate / decided.rate_per_s;
    report.figure("place an order / the library", ratio, "", Target::AtLeast(0.5));
    Ok(())
}

/// What was asked of both.
#[derive(Default)]
pub(super) struct Pair {
    pub(super) bare: Vec<Asked>,
    pub(super) ours: Vec<Asked>,
}

/// How a server answered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// Requests a second.
    pub(super) rate: f64,
    /// Microseconds of its CPU a request.
    pub(super) cpu_us: f64,
}

pub(super) fn middle(mut asked: Vec<Asked>, by: impl Fn(&Asked) -> f64) -> Asked {
    asked.sort_by(|a, b| by(a).total_cmp(&by(b)));
    asked.get(asked.len() / 2).copied().unwrap_or_default()
}

/// A server in a process of its own.
pub(super) struct Served {
    child: Child,
    pub(super) address: SocketAddr,
}

pub(super) async fn start(
    what: &str,
    database: &TestDatabase,
    more: &[&str],
) -> anyhow::Result<Served> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([what, database.url()]).stdout(Stdio::piped()).kill_on_drop(true);
    command.args(more);
    let mut child = command.spawn()?;
    let output = child.stdout.take().context("its output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    let address = line.trim().parse().context("read where it serves")?;
    Ok(Served { child, address })
}

impl Served {
    pub(super) async fn ask(
        &self,
        path: &str,
        script: Option<&str>,
        time: Duration,
    ) -> anyhow::Result<Asked> {
        let before = self.cpu_us()?;
        let rate = wrk::ask(self.address, path, script, time).await?;
        let requests = rate * time.as_secs_f64();
        Ok(Asked { rate, cpu_us: (self.cpu_us()? - before) / requests })
    }

    /// What it has taken until now.
    fn cpu_us(&self) -> anyhow::Result<f64> {
        let id = self.child.id().context("it runs")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // Behind the name, which may hold anything: the 14th and 15th field of all.
        let fields = stat.rsplit_once(')').context("no name")?.1;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let (user, system) = (ticks.next().context("utime")??, ticks.next().context("stime")??);
        Ok((user + system) * 1_000_000.0 / count(ticks_a_second()))
    }
}

/// As Linux counts for programs, on every machine that Annals is built for.
const fn ticks_a_second() -> usize {
    100
}

/// Lists a product, and waits until it can be queried.
pub(super) async fn product(bus: &CommandBus, store: &EventStore) -> anyhow::Result<ProductId> {
    projections::prepare(store.pool(), projections::ALL).await?;
    let listing = ListProduct {
        sku: Sku::try_from("MUG-1".to_owned())?,
        name: ProductName::try_from("Mug".to_owned())?,
        price: Money::new(1_250, "EUR".parse()?)?,
        stock: StockLevel::try_from(1_000_000)?,
    };
    let (id, receipt) = bus.list_product(&origin(), listing).await?;
    let stop = CancellationToken::new();
    let worker = projections::Worker { id: event::id(), name: "bench".to_owned() };
    let wakeup = Wakeup::listen(store.pool().clone());
    let changed = projections::engine::changes(store.pool().clone());
    let engine =
        Engine::new(super::rebuild::source(store), projections::ALL, worker, wakeup, changed);
    let reached = engine.reached();
    let running = tokio::spawn(engine.run(stop.clone()));
    let model = projections::products::PRODUCTS.model();
    while reached.of(&model).is_none_or(|position| position < receipt.position) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    running.await?;
    Ok(id)
}

fn origin() -> Origin {
    Origin {
        actor: "bench".to_owned(),
        tenant: None,
        correlation_id: event::id(),
        trace: None,
        idempotency_key: None,
    }
}

/// What wrk sends: each order under a name of its own.
fn script(product: ProductId) -> String {
    let body = json!({"lines": [{"product_id": product, "quantity": 1}]});
    let run = event::id();
    format!(
        r#"
        local number = 0
        wrk.method = "POST"
        wrk.body = '{body}'
        wrk.headers["Content-Type"] = "application/json"
        function request()
            number = number + 1
            wrk.headers["Idempotency-Key"] = "{run}-" .. number
            return wrk.format()
        end
        "#
    )
}

/// Places the same orders without HTTP.
async fn decide(
    bus: &CommandBus,
    product_id: ProductId,
    time: Duration,
) -> anyhow::Result<Measured> {
    let line = RequestedLine { product_id, quantity: Quantity::try_from(1)? };
    let lines = RequestedLines::try_from(vec![line])?;
    let bus = bus.clone();
    load::run(wrk::CONNECTIONS, time, move |_| {
        let (bus, lines) = (bus.clone(), lines.clone());
        async move {
            let key = Some(event::id().to_string());
            let origin = Origin { idempotency_key: key, ..origin() };
            bus.place_order(&origin, PlaceOrder { lines }).await?;
            Ok(())
        }
    })
    .await
}

/// What a child process does: answers the same without anything around it.
#[expect(clippy::print_stdout, reason = "where it serves is its answer")]
pub(crate) async fn serve_bare(url: &str) -> anyhow::Result<()> {
    let pool = server::pool(url).await?;
    let router = Router::new()
        .route("/problems/{code}", get(plain))
        .route("/v1/products/{id}", get(by_id))
        .with_state(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn plain(Path(code): Path<String>) -> Json<Value> {
    let known = api::problem::Code::ALL.iter().map(|known| known.entry());
    Json(json!(known.into_iter().find(|known| known.code == code)))
}

async fn by_id(State(pool): State<PgPool>, Path(id): Path<Uuid>) -> Json<Value> {
    let query = "SELECT product_id, sku, name, price, currency, available, listed_position, sku_key, \
                 version, changed_position FROM products_v2.products WHERE product_id = $1";
    let row = sqlx::query(query).bind(id).fetch_one(&pool).await;
    let Ok(row) = row else { return Json(Value::Null) };
    Json(json!({
        "id": row.get::<Uuid, _>("product_id"),
        "sku": row.get::<&str, _>("sku"),
        "name": row.get::<&str, _>("name"),
        "price": {"amount": row.get::<i64, _>("price"), "currency": row.get::<&str, _>("currency")},
        "available": row.get::<i64, _>("available"),
    }))
}
