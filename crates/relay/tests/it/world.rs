//! One test's log, broker and namespace, and what is asked of all of them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectError};
use eventstore::{
    Append, CommandId, Cursor, EventStore, EventType, ExpectedVersion, Filter, Fingerprint, LogId,
    Metadata, NewEvent, Position, RecordedEvent, StreamId, Wakeup,
};
use futures_util::TryStreamExt;
use relay::{
    Namespace, Publisher, PublisherConfig, RelayState, RelayStatus, Render, RenderError, Rendered,
};
use sqlx::{AssertSqlSafe, PgPool};
use testkit::{Nats, NatsCluster, TestBroker, TestDatabase, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::MIGRATOR;

/// Longer than anything takes that works, outages included.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: EventStore,
    pub(crate) url: String,
    pub(crate) namespace: Namespace,
    ids: AtomicU64,
    small_outbox: bool,
    /// How many servers keep the stream.
    replicas: NonZeroUsize,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at(TestBroker::shared()).await
    }

    pub(crate) async fn on(nats: &Nats) -> Self {
        Self::at(TestBroker::on(nats)).await
    }

    /// A log whose stream is kept by all servers of `cluster`.
    pub(crate) async fn on_cluster(cluster: &NatsCluster) -> Self {
        let world = Self::at(TestBroker::on_cluster(cluster)).await;
        Self { replicas: NonZeroUsize::new(3).unwrap(), ..world }
    }

    /// A log whose outbox has partitions of 1,000 positions.
    pub(crate) async fn with_small_outbox() -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let drop = "SELECT string_agg(format('DROP TABLE %s', inhrelid::regclass), ';')
                    FROM pg_inherits
                    WHERE inhparent IN ('eventstore.outbox'::regclass, 'eventstore.messages'::regclass)";
        let drop: String = sqlx::query_scalar(drop).fetch_one(&database.pool()).await.unwrap();
        let setup = format!(
            "{drop}; UPDATE eventstore.log SET outbox_positions = 1000;
             SELECT eventstore.add_partitions()"
        );
        sqlx::raw_sql(AssertSqlSafe(setup)).execute(&database.pool()).await.unwrap();
        Self { small_outbox: true, ..Self::of(database, TestBroker::shared()).await }
    }

    async fn at(broker: TestBroker) -> Self {
        Self::of(TestDatabase::create(&MIGRATOR).await, broker).await
    }

    async fn of(database: TestDatabase, broker: TestBroker) -> Self {
        let store = EventStore::open(database.pool()).await.unwrap();
        let namespace = broker.namespace.parse().unwrap();
        let ids = AtomicU64::new(1);
        Self {
            database,
            store,
            url: broker.url,
            namespace,
            ids,
            small_outbox: false,
            replicas: NonZeroUsize::MIN,
        }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    pub(crate) fn id(&self) -> Uuid {
        Uuid::from_u128(self.ids.fetch_add(1, Ordering::Relaxed).into())
    }

    /// Appends `count` events, a hundred at once, alternating public and private.
    pub(crate) async fn append(&self, count: usize) {
        let subjects: Vec<_> = (0..count).map(alternating).collect();
        for subjects in subjects.chunks(100) {
            self.append_with(subjects, self.metadata()).await;
            if self.small_outbox {
                // No log grows through a partition in the time that another takes to make.
                let make = sqlx::query("SELECT eventstore.add_partitions()");
                make.execute(self.store.pool()).await.unwrap();
            }
        }
    }

    /// Appends `count` events, one after the other.
    pub(crate) async fn append_each(&self, count: usize) {
        for index in 0..count {
            self.append_with(&[alternating(index)], self.metadata()).await;
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        let correlation_id = self.id();
        Metadata {
            actor: "test".to_owned(),
            tenant: None,
            correlation_id,
            causation_id: None,
            trace: None,
        }
    }

    /// Appends `count` public events to each of `streams`, in turn.
    pub(crate) async fn append_to(&self, streams: &[&str], count: usize) {
        for _ in 0..count {
            let events = streams.iter().map(|stream| NewEvent {
                subject: Some(SUBJECT.to_owned()),
                ..NewEvent::new(
                    StreamId::new(*stream).unwrap(),
                    EventType::new("testing.it-happened", 1),
                    "{}",
                )
            });
            let any = |stream: &&str| (StreamId::new(*stream).unwrap(), ExpectedVersion::Any);
            let append = Append {
                events: events.collect(),
                expectations: streams.iter().map(any).collect(),
                ..Append::new(CommandId::new(self.id()), Fingerprint::of(b""), self.metadata())
            };
            self.store.append(append).await.unwrap();
        }
    }

    pub(crate) async fn append_with(&self, subjects: &[Option<&str>], metadata: Metadata) {
        let stream = StreamId::new("testing.thing-1").unwrap();
        let events = subjects.iter().map(|subject| {
            let name = if subject.is_some() { PUBLIC } else { PRIVATE };
            let event_type = EventType::new(name, 1);
            let event = NewEvent::new(stream.clone(), event_type, r#"{"secret":"seed"}"#);
            NewEvent { subject: subject.map(str::to_owned), ..event }
        });
        let append = Append {
            events: events.collect(),
            expectations: vec![(stream.clone(), ExpectedVersion::Any)],
            ..Append::new(CommandId::new(self.id()), Fingerprint::of(b""), metadata)
        };
        self.store.append(append).await.unwrap();
    }

    /// Starts a publisher.
    pub(crate) fn publisher(&self) -> Running<RelayState> {
        self.publisher_of(render)
    }

    /// Starts a publisher with another contract.
    pub(crate) fn publisher_of(&self, render: impl Render) -> Running<RelayState> {
        self.publisher_with(self.publisher_config(), render)
    }

    pub(crate) fn publisher_config(&self) -> PublisherConfig {
        let mut config = PublisherConfig::new(self.url.parse().unwrap(), self.namespace.clone());
        config.replicas = self.replicas;
        config
    }

    pub(crate) fn publisher_with(
        &self,
        config: PublisherConfig,
        render: impl Render,
    ) -> Running<RelayState> {
        let wakeup = Wakeup::listen(self.pool());
        let publisher = Publisher::new(self.store.clone(), wakeup, config, render);
        let state = publisher.state();
        Running::start(state, |stop| publisher.run(stop))
    }

    async fn connect(&self) -> Result<Client, ConnectError> {
        let servers: Vec<&str> = self.url.split(',').collect();
        async_nats::connect(servers).await
    }

    pub(crate) async fn context(&self) -> Context {
        jetstream::new(self.connect().await.unwrap())
    }

    pub(crate) async fn stream(&self) -> Stream {
        self.context().await.get_stream(self.namespace.stream_name()).await.unwrap()
    }

    /// What the public is told of the log, in order.
    pub(crate) async fn public(&self) -> Vec<(Position, Uuid)> {
        let log = self.store.read_log(Filter::everything(), Position::START, Position::MAX);
        let log: Vec<RecordedEvent> = log.try_collect().await.unwrap();
        let public = log.iter().filter(|event| &*event.event_type.name == PUBLIC);
        public.map(|event| (event.position, event.id.get())).collect()
    }

    /// Waits until the stream holds exactly what the public is told, in order, once, and the cursor
    /// says so.
    pub(crate) async fn complete(&self) {
        let public = self.public().await;
        let expected = public.last().map_or(Position::START, |(position, _)| *position);
        let last = u64::try_from(public.len()).unwrap();
        let cursor = format!("relay:{}", self.namespace.stream_name());
        eventually(LIMIT, "what is public to be in the stream", || async {
            let client = self.connect().await.map_err(|error| error.to_string())?;
            let stream = jetstream::new(client).get_stream(self.namespace.stream_name()).await;
            let sequence =
                stream.map_err(|error| error.to_string())?.cached_info().state.last_sequence;
            let reached = Cursor::peek(self.store.pool(), &cursor)
                .await
                .map_err(|error| error.to_string())?;
            if sequence == last && reached.is_some_and(|reached| reached >= expected) {
                return Ok(());
            }
            // More than expected never becomes right again.
            assert!(sequence <= last, "{sequence} messages for {last} rows");
            Err(format!("sequence {sequence} of {last}, cursor {reached:?} of {expected}"))
        })
        .await;
        let published: Vec<(Position, Uuid)> =
            self.messages().await.iter().map(|message| (position(message), id(message))).collect();
        assert_eq!(published, public);
    }

    /// All messages of the stream.
    pub(crate) async fn messages(&self) -> Vec<StreamMessage> {
        let stream = self.stream().await;
        let mut messages = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// Positions of the messages that the stream holds, in its order.
    pub(crate) async fn positions(&self) -> Vec<i64> {
        let stream = self.stream().await;
        let mut positions = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                positions.push(position(&message).get());
            }
        }
        positions
    }

    pub(crate) async fn set_cursor(&self, position: i64) {
        let moved = sqlx::query("UPDATE eventstore.cursors SET position = $1")
            .bind(position)
            .execute(&self.pool())
            .await
            .unwrap();
        assert_eq!(moved.rows_affected(), 1);
    }

    /// Ends the lease of one who cannot release it any more, so that no test has to wait for that.
    pub(crate) async fn expire_lease(&self) {
        sqlx::query("UPDATE eventstore.cursors SET expires_at = clock_timestamp()")
            .execute(&self.pool())
            .await
            .unwrap();
    }

    pub(crate) fn log(&self) -> LogId {
        self.store.log_id()
    }
}

/// What the public is told of, and what not.
const PUBLIC: &str = "testing.it-happened";
const PRIVATE: &str = "testing.it-stirred";

pub(crate) const SUBJECT: &str = "testing.it-happened.v1";

fn alternating(index: usize) -> Option<&'static str> {
    index.is_multiple_of(2).then_some(SUBJECT)
}

/// What the public learns of the test's events.
#[expect(clippy::unnecessary_wraps, reason = "it is a Render")]
pub(crate) fn render(event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
    if &*event.event_type.name == PRIVATE {
        return Ok(None);
    }
    let body = format!(r#"{{"version":{}}}"#, event.version);
    Ok(Some(Rendered { subject: SUBJECT.to_owned(), body }))
}

pub(crate) fn header<'a>(message: &'a StreamMessage, name: &str) -> &'a str {
    message.headers.get(name).unwrap().as_str()
}

fn position(message: &StreamMessage) -> Position {
    Position::new(header(message, "ce-position").parse().unwrap())
}

fn id(message: &StreamMessage) -> Uuid {
    header(message, "ce-id").parse().unwrap()
}

/// A publisher or consumer that runs.
pub(crate) struct Running<S> {
    pub(crate) state: watch::Receiver<S>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl<S: Clone + std::fmt::Debug> Running<S> {
    pub(crate) fn start<F>(
        state: watch::Receiver<S>,
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Self { state, stop, task }
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn reaches(&mut self, what: &str, wanted: impl Fn(&S) -> bool) -> S {
        let state = self.state.clone();
        eventually(LIMIT, what, || {
            let now = state.borrow().clone();
            let reached = wanted(&now);
            async move { if reached { Ok(now) } else { Err(now) } }
        })
        .await
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.task).await.expect("stops in time").unwrap();
    }

    /// Dies at once, wherever it is.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Running<RelayState> {
    pub(crate) async fn publishes(&mut self) -> RelayState {
        self.reaches("the relay to publish", |state| state.status == RelayStatus::Publishing).await
    }

    pub(crate) async fn refuses(&mut self) -> String {
        let refused = |state: &RelayState| matches!(state.status, RelayStatus::Refused { .. });
        let RelayStatus::Refused { reason } =
            self.reaches("the relay to refuse", refused).await.status
        else {
            unreachable!("it was seen to refuse");
        };
        reason
    }
}
