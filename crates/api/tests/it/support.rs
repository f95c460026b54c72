//! The service in process: fixed clock, counted ids, so that answers compare whole.

mod accounts;
mod browser;
mod devices;
mod elsewhere;
mod issuer;
mod keeper;
mod people;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use api::feed::{Feed, FeedMetrics, Message, Render, Settings};
use api::{ApiState, Cursors, Grants, HttpMetrics, Limits, Origins, Queries};
use application::CommandBus;
use application::access::Access;
use application::identity::{ExternalLogins, Identity};
use application::ports::{Clock, IdSource};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use chrono::{DateTime, TimeDelta, Utc};
use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    StreamId,
};
use projections::Source;
use projections::engine::Reached;
use projections::freshness::Freshness;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};
use testkit::{Postgres, TestDatabase, eventually};
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) use accounts::{LIFETIMES, ROTATION};
pub(crate) use browser::Browser;
pub(crate) use devices::{Device, codes};
pub(crate) use elsewhere::{Begun, CLIENT_SECRET, PROVIDER, REDIRECT, provider};
pub(crate) use issuer::Issuer;
pub(crate) use keeper::Keeper;
use people::for_strangers;
pub(crate) use people::{ADDRESS, AGENT, As, Beside, Login, Person, origin};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Longer than anything takes that works.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) const BODY_BYTES: usize = 256 * 1024;

/// It is always the same moment, unless a test lets time pass. Clones are one clock.
#[derive(Clone, Default)]
pub(crate) struct TestClock {
    passed_ms: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn pass(&self, by: TimeDelta) {
        self.passed_ms.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let passed_ms = self.passed_ms.load(Ordering::SeqCst);
        DateTime::from_timestamp_millis(1_767_323_045_678 + passed_ms).unwrap()
    }
}

/// The same ids in every run, in the form of a UUIDv7.
#[derive(Default)]
struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn next(&self) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u128(0x019b_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))
    }
}

pub(crate) struct TestApp {
    database: TestDatabase,
    store: EventStore,
    router: Router,
    registry: Registry,
    identity: Identity,
    clock: TestClock,
    ids: Arc<CountedIds>,
}

/// How long queries wait for their read models, where that is to end.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than any request of these tests takes.
const DEADLINE: Duration = Duration::from_mins(1);

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with_deadline(DEADLINE).await
    }

    pub(crate) async fn with_grants(anonymous: Grants) -> Self {
        Self::with_limits(Limits { anonymous, ..limits(DEADLINE) }).await
    }

    pub(crate) async fn with_deadline(deadline: Duration) -> Self {
        Self::with_limits(limits(deadline)).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = open(&database, database.pool()).await;
        let freshness = Freshness::new(database.pool(), Reached::default());
        Self::of(database, store, freshness, SHORT, limits).await
    }

    /// Whose queries wait for so long for their read models.
    pub(crate) async fn that_waits(wait: Duration) -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = open(&database, database.pool()).await;
        let freshness = Freshness::new(database.pool(), Reached::default());
        Self::of(database, store, freshness, wait, limits(DEADLINE)).await
    }

    /// On a server that the test may kill; requests do not wait long for it.
    pub(crate) async fn on(postgres: &Postgres) -> Self {
        let database = TestDatabase::create_on(postgres, &MIGRATOR).await;
        let pool = sqlx::postgres::PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(300))
            .connect_lazy(database.url())
            .unwrap();
        let store = open(&database, pool.clone()).await;
        let freshness = Freshness::new(pool, Reached::default());
        Self::of(database, store, freshness, SHORT, limits(DEADLINE)).await
    }

    /// Whose queries wait as long as it takes for read models that others keep; for how far they are
    /// it asks through `asking`.
    pub(crate) async fn patient(asking: impl FnOnce(&TestDatabase) -> PgPool) -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = open(&database, database.pool()).await;
        let freshness = Freshness::new(asking(&database), Reached::default());
        Self::of(database, store, freshness, LIMIT, limits(DEADLINE)).await
    }

    /// Whose queries wait as long as it takes for read models that this very process keeps; for how
    /// far they are it asks through `asking`.
    pub(crate) async fn that_keeps(asking: impl FnOnce(&TestDatabase) -> PgPool) -> (Self, Keeper) {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = open(&database, database.pool()).await;
        let keeper = Keeper::start(&store);
        let freshness = Freshness::new(asking(&database), keeper.reached.clone());
        (Self::of(database, store, freshness, LIMIT, limits(DEADLINE)).await, keeper)
    }

    /// The same service in a new process, which keeps the read models from now on.
    pub(crate) async fn taken_over(self) -> (Self, Keeper) {
        let store = open(&self.database, self.database.pool()).await;
        let keeper = Keeper::start(&store);
        let freshness = Freshness::new(self.database.pool(), keeper.reached.clone());
        (Self::of(self.database, store, freshness, SHORT, limits(DEADLINE)).await, keeper)
    }

    async fn of(
        database: TestDatabase,
        store: EventStore,
        freshness: Freshness,
        wait: Duration,
        limits: Limits,
    ) -> Self {
        let asking = open(&database, asking(&database, store.pool())).await;
        let queries = Queries { source: source(&asking), freshness, wait };
        Self::with(database, store, queries, limits, None).await
    }

    async fn with(
        database: TestDatabase,
        store: EventStore,
        queries: Queries,
        limits: Limits,
        external: Option<ExternalLogins>,
    ) -> Self {
        let registry = Registry::new();
        let (clock, ids) = (TestClock::default(), Arc::default());
        let service = Service { store: &store, clock: &clock, ids: &ids, external };
        let Started { router, identity, .. } =
            service.start(queries, &registry, limits, Settings::default()).await;
        Self { database, store, router, registry, identity, clock, ids }
    }

    /// Another process with the same database, whose feed may take so much.
    pub(crate) async fn beside(&self, settings: Settings) -> (Router, Feed, Registry) {
        let store = open(&self.database, self.database.pool()).await;
        let freshness = Freshness::new(self.database.pool(), Reached::default());
        let queries = Queries { source: source(&store), freshness, wait: SHORT };
        let registry = Registry::new();
        let (clock, ids) = (TestClock::default(), Arc::default());
        let service = Service { store: &store, clock: &clock, ids: &ids, external: None };
        let limits = limits(DEADLINE);
        let Started { router, feed, .. } =
            service.start(queries, &registry, limits, settings).await;
        (router, feed, registry)
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.send(Request::get(address).body(Body::empty()).unwrap()).await
    }

    /// Posts `body` as JSON.
    pub(crate) async fn post(&self, address: &str, body: impl Into<Body>) -> Answer {
        self.send(post(address, body)).await
    }

    /// Posts `body` as JSON, under an idempotency key.
    pub(crate) async fn post_as(&self, key: &str, address: &str, body: impl Into<Body>) -> Answer {
        let mut request = post(address, body);
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }

    /// Sends any request. Its id is fixed unless it has one.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let fixed = "00000000-0000-7000-8000-0000000000ff".parse().unwrap();
        request.headers_mut().entry("x-request-id").or_insert(fixed);
        self.send_bare(request).await
    }

    pub(crate) async fn send_bare(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone(), request).await
    }

    /// Sends any request; the answer has all its headers.
    pub(crate) async fn raw(&self, request: Request<Body>) -> Answer {
        Answer::whole(self.router.clone(), request).await
    }

    /// The status of an answer, whatever comes behind it.
    pub(crate) async fn status(&self, request: Request<Body>) -> u16 {
        self.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// The headers and the bytes of an answer.
    pub(crate) async fn bytes(&self, request: Request<Body>) -> (HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.headers, to_bytes(body, usize::MAX).await.unwrap().into())
    }

    /// Waits until somebody waits for a lock of the database.
    pub(crate) async fn waits_for_a_lock(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        eventually(LIMIT, "somebody to wait for a lock", async || {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&self.pool()).await.unwrap();
            if count > 0 { Ok(()) } else { Err("nobody does") }
        })
        .await;
    }

    /// Lists a product and answers with its id.
    pub(crate) async fn list(&self, sku: &str, amount: i64, currency: &str) -> String {
        let answer = self.post("/v1/products", product(sku, amount, currency)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Asks for what is at least as fresh as `position`.
    pub(crate) async fn get_at(&self, address: &str, position: impl ToString) -> Answer {
        let mut request = request(Method::GET, address);
        let position = position.to_string().parse().unwrap();
        request.headers_mut().insert("annals-min-position", position);
        self.send(request).await
    }

    /// Places an order and answers with its address and its position.
    pub(crate) async fn place(&self, lines: &[(&str, i64)]) -> (String, String) {
        let answer = self.post("/v1/orders", order(lines)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        (answer.headers["location"].clone(), answer.headers["annals-position"].clone())
    }

    /// Appends an event as it is written, whoever may be able to read it; answers with its position.
    pub(crate) async fn append(&self, stream: &str, event_type: EventType, payload: &Value) -> i64 {
        let stream = StreamId::new(stream).unwrap();
        let id = Uuid::from_u128((1 << 80) + u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
        let metadata = Metadata {
            actor: "test".to_owned(),
            tenant: None,
            correlation_id: id,
            causation_id: None,
            trace: None,
        };
        let append = Append {
            expectations: vec![(stream.clone(), ExpectedVersion::Any)],
            events: vec![NewEvent::new(stream, event_type, payload.to_string())],
            ..Append::new(CommandId::new(id), Fingerprint::of(b""), metadata)
        };
        self.store.append(append).await.unwrap().position.get()
    }

    /// Starts another process that keeps the read models; nothing but the database leads there.
    pub(crate) fn keep(&self) -> Keeper {
        Keeper::start(&self.store)
    }

    /// Brings the read models to the end of the log.
    pub(crate) async fn project(&self) {
        let keeper = self.keep();
        keeper.catches_up(&self.store).await;
        keeper.stop().await;
    }

    pub(crate) const fn store(&self) -> &EventStore {
        &self.store
    }

    pub(crate) async fn log_length(&self) -> i64 {
        self.store.head().await.unwrap().get()
    }

    /// What is measured of HTTP.
    pub(crate) fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

fn limits(deadline: Duration) -> Limits {
    Limits {
        body_bytes: BODY_BYTES,
        deadline,
        rate: None,
        origins: Origins::default(),
        anonymous: Grants::all(),
    }
}

/// Opens the log, and makes the read models.
async fn open(database: &TestDatabase, pool: PgPool) -> EventStore {
    // The first connection may take longer than a request would wait.
    let store =
        eventually(LIMIT, "the log to open", async || EventStore::open(pool.clone()).await).await;
    projections::prepare(&database.pool(), projections::ALL).await.unwrap();
    store
}

/// Connections like those of `pool`, which may only read, and of tenants what is asked for.
fn asking(database: &TestDatabase, pool: &PgPool) -> PgPool {
    let options: PgConnectOptions = database.url().parse().unwrap();
    sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(pool.options().get_acquire_timeout())
        .connect_lazy_with(
            options.options([("role", projections::ROLE)]).disable_statement_logging(),
        )
}

/// What a service is made on.
struct Service<'a> {
    store: &'a EventStore,
    clock: &'a TestClock,
    ids: &'a Arc<CountedIds>,
    external: Option<ExternalLogins>,
}

/// A service, its feed, which is not read yet, and who it lets in.
struct Started {
    router: Router,
    feed: Feed,
    identity: Identity,
    access: Access,
}

impl Service<'_> {
    async fn start(
        &self,
        queries: Queries,
        registry: &Registry,
        limits: Limits,
        settings: Settings,
    ) -> Started {
        let Self { store, clock, ids, ref external } = *self;
        let bus = CommandBus::new(store.clone(), Arc::new(clock.clone()), Arc::clone(ids) as _);
        let (identity, access) = accounts::open(store, bus, clock).await;
        let identity = match external {
            Some(external) => identity.with_external_logins(external.clone()),
            None => identity,
        };
        let bus = identity.bus().clone();
        let metrics = FeedMetrics::register(registry).unwrap();
        let feed = Feed::new(store.clone(), render(), settings, metrics);
        let metrics = HttpMetrics::register(registry).unwrap();
        // The same in every run, so that answers with cursors compare whole.
        sqlx::query("UPDATE http.cursor_key SET key = decode(repeat('07', 32), 'hex')")
            .execute(store.pool())
            .await
            .unwrap();
        let cursors = Cursors::load(store.pool()).await.unwrap();
        let state = ApiState {
            bus,
            identity: identity.clone(),
            access: access.clone(),
            queries,
            cursors,
            feed: feed.clone(),
            ids: Arc::clone(ids) as _,
        };
        Started { router: api::router(state, &metrics, limits), feed, identity, access }
    }
}

/// What the public is told, in fewer words than it is.
pub(crate) fn render() -> Render {
    Arc::new(|event| {
        let events = application::decode(event)?;
        let Some(message) = events.iter().find_map(domain::Message::of) else { return Ok(None) };
        let (subject, data) = (&event.stream, message.encode()?);
        let json = format!(r#"{{"subject":"{subject}","data":{data}}}"#);
        Ok(Some(Message { message_type: message.payload_type().to_string(), json }))
    })
}

/// Tells processes and commands of one test run apart.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The log, read as today's domain says it.
fn source(store: &EventStore) -> Source {
    Source { store: store.clone(), decode: |recorded| Ok(application::decode(recorded)?) }
}

/// Posts `body` as JSON, under a key of its own.
pub(crate) fn post(address: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(address)
        .header("idempotency-key", format!("key {}", NEXT.fetch_add(1, Ordering::Relaxed)))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

pub(crate) fn request(method: Method, address: &str) -> Request<Body> {
    Request::builder().method(method).uri(address).body(Body::empty()).unwrap()
}

pub(crate) fn product(sku: &str, amount: i64, currency: &str) -> String {
    let price = serde_json::json!({"amount": amount, "currency": currency});
    serde_json::json!({"sku": sku, "name": "Mug", "price": price, "stock": 5}).to_string()
}

pub(crate) fn order(lines: &[(&str, i64)]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|(product, quantity)| serde_json::json!({"product_id": product, "quantity": quantity}))
        .collect();
    serde_json::json!({"lines": lines}).to_string()
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    /// Without what all answers have alike, which is tested once.
    pub(crate) async fn of(router: Router, request: Request<Body>) -> Self {
        let mut answer = Self::whole(router, request).await;
        for (name, value) in PROTECTION {
            if answer.headers.get(name).is_some_and(|given| given == value) {
                answer.headers.remove(name);
            }
        }
        answer.headers.remove("vary");
        answer
    }

    async fn whole(router: Router, request: Request<Body>) -> Self {
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let mut headers: BTreeMap<_, _> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.remove("content-length");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.into()).unwrap();
        if status >= 500 {
            tells_nothing(&text);
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    /// The code of the problem it is.
    pub(crate) fn code(&self) -> &str {
        let kind = self.headers.get("content-type").map(String::as_str);
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        self.body["code"].as_str().unwrap()
    }
}

/// The headers that every answer has unless its handler says otherwise.
pub(crate) const PROTECTION: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// What goes wrong inside stays inside.
fn tells_nothing(text: &str) {
    for inside in [
        "SELECT",
        "INSERT",
        "UPDATE",
        "relation",
        "eventstore",
        "orders_v4",
        "products_v2",
        "sqlx",
        "pool",
        "127.0.0.1",
        "os error",
        "connection",
        "panicked",
        ".rs",
        "advisory",
    ] {
        assert!(!text.contains(inside), "{inside:?} in {text}");
    }
}

/// One request of a table of them, and its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) sent: String,
    pub(crate) answer: Answer,
}
