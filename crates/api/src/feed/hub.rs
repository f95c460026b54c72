//! Reads the log once for all connections of a process.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventstore::{EventStore, Filter as LogFilter, Page, Position, Rewound, Wakeup};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::filter::Filter;
use super::follower::Follower;
use super::ring::{Look, Ring};
use super::segment::Segment;
use super::{FeedMetrics, Render, Settings};
use crate::problem::{Code, Problem};

/// For each connection, how long the log is left alone after all were woken: about what it takes
/// them to take what there is. What happens meanwhile they take at once.
const BREATH: Duration = Duration::from_micros(25);

/// The longest of these pauses.
const LONGEST_BREATH: Duration = Duration::from_millis(100);

/// How many connections may read the log for themselves at once.
const READERS: usize = 4;

/// Events of one page that a connection reads for itself: it keeps them until its client has taken
/// them.
const PAGE: u16 = 64;

/// The longest pause between attempts to reach a database that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long connections have to be gone when the process stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all connections share.
pub(super) struct Hub {
    store: EventStore,
    render: Render,
    pub(super) settings: Settings,
    pub(super) metrics: FeedMetrics,
    /// `None` while nobody is connected.
    ring: Mutex<Option<Ring>>,
    news: watch::Sender<News>,
    seated: watch::Sender<usize>,
    readers: Semaphore,
    seats: Arc<Semaphore>,
}

/// What connections are woken for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    /// Up to where messages can be taken.
    pub(super) reached: Position,
    /// Counts how often the log turned out to be another one.
    pub(super) log: u64,
    pub(super) is_stopping: bool,
}

/// The right to be connected.
pub(super) struct Seat {
    hub: Arc<Hub>,
    transport: &'static str,
    number: u64,
    place: Arc<AtomicI64>,
    /// Why the connection ends; `None` if it has not begun.
    pub(super) reason: Option<&'static str>,
    _permit: OwnedSemaphorePermit,
}

impl Hub {
    pub(super) fn new(
        store: EventStore,
        render: Render,
        settings: Settings,
        metrics: FeedMetrics,
    ) -> Self {
        Self {
            store,
            render: complaining(render),
            settings,
            metrics,
            ring: Mutex::default(),
            news: watch::Sender::default(),
            seated: watch::Sender::default(),
            readers: Semaphore::new(READERS),
            seats: Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS))),
        }
    }

    pub(super) async fn run(&self, wakeup: Wakeup, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.read_for_ever(&wakeup) => {}
        }
        self.news.send_modify(|news| news.is_stopping = true);
        let mut seated = self.seated.subscribe();
        let _ = timeout(FAREWELL, seated.wait_for(|seated| *seated == 0)).await;
    }

    /// Reads while somebody is there.
    async fn read_for_ever(&self, wakeup: &Wakeup) {
        let mut seated = self.seated.subscribe();
        while seated.wait_for(|seated| *seated > 0).await.is_ok() {
            let outcome = tokio::select! {
                outcome = self.read(wakeup) => outcome,
                _ = seated.wait_for(|seated| *seated == 0) => Ok(()),
            };
            *self.ring() = None;
            if let Err(Rewound { position }) = outcome {
                tracing::warn!(%position, "the log is another one: the connections of the feed end");
                self.news.send_modify(|news| news.log += 1);
            }
        }
    }

    /// Reads on from the end of the log.
    async fn read(&self, wakeup: &Wakeup) -> Result<(), Rewound> {
        let head = retrying(|| self.store.head()).await;
        let Settings { ring_bytes, ring_messages, .. } = self.settings;
        *self.ring() = Some(Ring::new(head, ring_bytes, ring_messages));
        self.tell(head);
        let mut log = self.store.subscribe(LogFilter::everything(), head, wakeup.clone());
        loop {
            let segment = Segment::of(&log.next().await?, &self.render);
            let reached = segment.reached;
            if let Some(ring) = self.ring().as_mut() {
                ring.push(segment);
            }
            self.tell(reached);
            let seated = u32::try_from(*self.seated.borrow()).unwrap_or(u32::MAX);
            sleep(BREATH.saturating_mul(seated).min(LONGEST_BREATH)).await;
        }
    }

    fn tell(&self, reached: Position) {
        self.metrics.places.reached(reached);
        self.news.send_modify(|news| news.reached = reached);
    }

    /// A seat for one more connection, if there is one.
    pub(super) fn seat(self: &Arc<Self>, transport: &'static str) -> Result<Seat, Problem> {
        let permit = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| {
            let most = self.settings.connections;
            Problem::new(Code::FeedFull, format!("{most} connections are open, which is the most."))
        })?;
        let (number, place) = self.metrics.places.add();
        self.metrics.connections.with_label_values(&[transport]).inc();
        self.seated.send_modify(|seated| *seated += 1);
        let hub = Arc::clone(self);
        Ok(Seat { hub, transport, number, place, reason: None, _permit: permit })
    }

    /// A connection that is told of what comes after `position`.
    pub(super) fn follow(
        self: &Arc<Self>,
        mut seat: Seat,
        position: Position,
        filter: Filter,
    ) -> Follower {
        seat.reason = Some("client");
        Follower::new(Arc::clone(self), seat, self.news.subscribe(), position, filter)
    }

    /// What the ring holds behind `position`; `None` while it is not known where it begins.
    pub(super) fn look(&self, position: Position) -> Option<Look> {
        self.ring().as_ref().map(|ring| ring.look(position))
    }

    /// What the log holds behind `position`; waits for its turn, and for a database that is away.
    pub(super) async fn read_log(&self, position: Position, filter: &LogFilter) -> Segment {
        let _turn = self.readers.acquire().await;
        let end = Position::MAX;
        let page = retrying(|| self.store.read_page(filter, position, end, PAGE)).await;
        // Everything is looked at in between, although it is not all shown.
        Segment::of(&Page { reached: page.reached.max(position), ..page }, &self.render)
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Keeps where the connection is, for those who measure.
    pub(super) fn at(&self, position: Position) {
        self.place.store(position.get(), Ordering::Relaxed);
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let metrics = &self.hub.metrics;
        metrics.places.remove(self.number);
        metrics.connections.with_label_values(&[self.transport]).dec();
        if let Some(reason) = self.reason {
            metrics.closed.with_label_values(&[reason]).inc();
        }
        self.hub.seated.send_modify(|seated| *seated -= 1);
    }
}

/// Says of each event that cannot be read, once.
fn complaining(render: Render) -> Render {
    let complained = AtomicI64::new(0);
    Arc::new(move |event| {
        render(event).inspect_err(|error| {
            let position = event.position.get();
            if complained.fetch_max(position, Ordering::Relaxed) < position {
                tracing::error!(
                    error = &**error,
                    event.position = position,
                    event.type = %event.event_type,
                    "the feed cannot read an event: connections that may wait for it end there"
                );
            }
        })
    })
}

/// Asks until there is an answer.
async fn retrying<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut attempts: u32 = 0;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                if attempts == 0 {
                    tracing::warn!(%error, "the feed cannot read the log, it tries again");
                }
                let pause = Duration::from_millis(50).saturating_mul(1 << attempts.min(10));
                sleep(pause.min(LONGEST_PAUSE)).await;
                attempts += 1;
            }
        }
    }
}
