//! One connection's way through the log.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use eventstore::Position;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::filter::Filter;
use super::hub::{Hub, News, Seat};
use super::ring::Look;
use super::segment::{Run, Segment};

/// Where a connection is, and what it wants.
pub(super) struct Follower {
    hub: Arc<Hub>,
    seat: Seat,
    news: watch::Receiver<News>,
    /// Which log it reads.
    log: u64,
    filter: Filter,
    /// Everything up to here was handed out.
    position: Position,
    /// Where the next messages are.
    segment: Option<Arc<Segment>>,
    /// It has been at the end of the log.
    is_live: bool,
    heartbeat: Pin<Box<Sleep>>,
    has_ended: bool,
}

/// What a client is told next.
#[derive(Debug)]
pub(super) enum Next {
    /// Messages that follow one another.
    Messages(Arc<Segment>, Range<usize>),
    /// Nothing for a while; it may resume here.
    Heartbeat(Position),
    /// The end.
    Closing(Closing),
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It fell too far behind.
    TooSlow(Position),
    /// The process stops.
    GoingAway(Position),
    /// What comes next cannot be read by this process.
    Unreadable(Position),
    /// The log was restored to what it had been earlier: positions say nothing any more.
    Rewound,
}

impl Closing {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::TooSlow(_) => "too-slow",
            Self::GoingAway(_) => "going-away",
            Self::Unreadable(_) => "unreadable",
            Self::Rewound => "rewound",
        }
    }

    /// Everything up to here was told.
    pub(super) const fn resume_after(self) -> Option<Position> {
        match self {
            Self::TooSlow(position) | Self::GoingAway(position) | Self::Unreadable(position) => {
                Some(position)
            }
            Self::Rewound => None,
        }
    }
}

impl Follower {
    pub(super) fn new(
        hub: Arc<Hub>,
        seat: Seat,
        news: watch::Receiver<News>,
        position: Position,
        filter: Filter,
    ) -> Self {
        seat.at(position);
        let heartbeat = Box::pin(sleep(hub.settings.heartbeat));
        let log = news.borrow().log;
        Self {
            hub,
            seat,
            news,
            log,
            filter,
            position,
            segment: None,
            is_live: false,
            heartbeat,
            has_ended: false,
        }
    }

    pub(super) const fn position(&self) -> Position {
        self.position
    }

    pub(super) const fn seat(&mut self) -> &mut Seat {
        &mut self.seat
    }

    pub(super) fn stalled(&self) -> std::time::Duration {
        self.hub.settings.stalled
    }

    /// What the client is told next, `None` behind the end. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Next> {
        while !self.has_ended {
            // Before looking, so that what comes meanwhile is not missed.
            let news = *self.news.borrow_and_update();
            if let Some(closing) = self.must_close(news) {
                return Some(self.close(closing));
            }
            if let Some(segment) = self.segment.take() {
                if let Some(next) = self.take_from(segment) {
                    return Some(next);
                }
                continue;
            }
            match self.hub.look(self.position) {
                Some(Look::Segment(segment)) => self.segment = Some(segment),
                Some(Look::Earlier) => {
                    // Boxed, because most connections never need it.
                    if let Some(next) = Box::pin(self.read_log()).await {
                        return Some(next);
                    }
                }
                found => {
                    if let Some(Look::Nothing(reached)) = found {
                        self.moved(reached);
                        self.is_live = true;
                    }
                    tokio::select! {
                        _ = self.news.changed() => {}
                        () = &mut self.heartbeat => return Some(self.beat()),
                    }
                }
            }
        }
        None
    }

    /// Why it cannot go on.
    fn must_close(&self, news: News) -> Option<Closing> {
        let behind = news.reached.get().saturating_sub(self.position.get()).max(0).unsigned_abs();
        if news.log != self.log {
            Some(Closing::Rewound)
        } else if news.is_stopping {
            Some(Closing::GoingAway(self.position))
        } else if self.is_live && behind > self.hub.settings.behind {
            Some(Closing::TooSlow(self.position))
        } else {
            None
        }
    }

    fn take_from(&mut self, segment: Arc<Segment>) -> Option<Next> {
        match segment.run(self.position, &self.filter) {
            Some(Run::Messages(run)) => {
                self.moved(segment.entries()[run.end - 1].position);
                self.hub.metrics.sent.inc_by(run.len() as u64);
                self.quiet_from_now();
                self.segment = Some(Arc::clone(&segment));
                Some(Next::Messages(segment, run))
            }
            Some(Run::Unreadable(position)) => {
                self.moved(Position::new(position.get() - 1));
                Some(self.close(Closing::Unreadable(self.position)))
            }
            None => {
                self.moved(segment.reached);
                None
            }
        }
    }

    /// Reads what the ring does not hold any more.
    async fn read_log(&mut self) -> Option<Next> {
        let filter = self.filter.of_log();
        let (news, log) = (&mut self.news, self.log);
        let is_over = async move {
            let is_over = |news: &News| news.is_stopping || news.log != log;
            let _ = news.wait_for(is_over).await;
        };
        tokio::select! {
            segment = self.hub.read_log(self.position, &filter) => {
                self.segment = Some(Arc::new(segment));
            }
            () = &mut self.heartbeat => return Some(self.beat()),
            () = is_over => {}
        }
        None
    }

    fn beat(&mut self) -> Next {
        self.quiet_from_now();
        Next::Heartbeat(self.position)
    }

    fn quiet_from_now(&mut self) {
        self.heartbeat.as_mut().reset(Instant::now() + self.hub.settings.heartbeat);
    }

    fn moved(&mut self, position: Position) {
        self.position = self.position.max(position);
        self.seat.at(self.position);
    }

    fn close(&mut self, closing: Closing) -> Next {
        self.has_ended = true;
        self.seat.reason = Some(closing.reason());
        Next::Closing(closing)
    }
}
