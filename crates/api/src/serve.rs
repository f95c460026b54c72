//! Connections: who is let in, what is spoken, how long they may take, and how they end.
//!
//! One task accepts, and one serves each connection (the private module `connection`), HTTP/1.1
//! or HTTP/2, over TLS if there is a certificate. What a client can cost is bounded: connections,
//! the bytes of a head, requests at once, and the time to ask, to rest and to take an answer.
//!
//! Stopping is in two steps ([`Drain`]), so that behind a proxy no request fails:
//!
//! 1. For the drain delay everything is served, but `/readyz` answers 503, answers of HTTP/1.1
//!    close their connection, and those of HTTP/2 are told to go.
//! 2. Those who wait at the door are let in and the listener closes. Requests in flight are
//!    answered, for the drain time at most.
//!
//! Why this and not `axum::serve`: docs/adr/0021-serving.md.

mod activity;
mod connection;
mod drain;
mod socket;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use drain::Drain;
pub use tls::{Tls, TlsError};

use crate::forwarded::TrustedProxies;
use connection::Shared;
use socket::Place;

/// How long to wait when the system has no room for one more connection.
const RETRY: Duration = Duration::from_millis(200);

/// How long not to say again that there are as many connections as may be.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once. More wait in the queue of the system until one ends.
    pub connections: usize,
    /// Longest time for the head of a request to come, and for the handshake of TLS.
    pub header_timeout: Duration,
    /// How long a connection may rest between requests.
    pub keep_alive: Duration,
    /// How long a client may take nothing of what it is sent. An answer that never ends, such as a
    /// feed, has to say something more often than that.
    pub write_timeout: Duration,
}

/// How to stop.
#[derive(Debug, Clone, Copy)]
pub struct DrainTimes {
    /// How long to go on serving, so that whoever sends requests notices.
    pub delay: Duration,
    /// How long requests in flight may take after that.
    pub limit: Duration,
}

/// A listener, and what is served on it.
pub struct Server {
    /// Where clients connect.
    pub listener: TcpListener,
    /// What answers.
    pub router: Router,
    /// What connections may cost.
    pub limits: Limits,
    /// TLS; without it, all is in the clear.
    pub tls: Option<Tls>,
    /// Who may say on whose behalf they ask.
    pub proxies: TrustedProxies,
    /// Tells others how far stopping is.
    pub drain: Drain,
}

impl Server {
    /// Serves until `stop`, then drains. Whatever happens on a connection or while accepting, it
    /// goes on.
    pub async fn run(self, times: DrainTimes, stop: CancellationToken) {
        let Self { listener, router, limits, tls, proxies, drain } = self;
        let follow = tls.clone();
        let builder = connection::builder();
        let shared =
            Arc::new(Shared { router, limits, tls, proxies, drain: drain.clone(), builder });
        let door = Door {
            shared,
            places: Arc::new(Semaphore::new(limits.connections)),
            open: TaskTracker::new(),
        };
        let stopping = async {
            stop.cancelled().await;
            drain.begin();
            tokio::time::sleep(times.delay).await;
        };
        tokio::select! {
            () = door.let_in(&listener) => {}
            () = async {
                match follow {
                    Some(tls) => tls.follow().await,
                    None => std::future::pending().await,
                }
            } => {}
            () = stopping => {}
        }
        door.let_in_who_waits(listener);
        drain.close();
        door.open.close();
        if tokio::time::timeout(times.limit, door.open.wait()).await.is_err() {
            tracing::warn!(
                http.connections = door.open.len(),
                "requests were still in flight when the time to drain was over"
            );
        }
    }
}

/// Lets clients in.
struct Door {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    open: TaskTracker,
}

impl Door {
    /// Accepts for ever.
    async fn let_in(&self, listener: &TcpListener) {
        let (mut is_refused, mut told) = (false, None);
        loop {
            let Some(place) = self.place(&mut told).await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    is_refused = false;
                    self.serve(stream, peer, place);
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    // No file descriptors, no memory: others may give some back.
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::error!(%error, "connections cannot be accepted at the moment");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Accepts those who have connected already: closing the listener would refuse them.
    fn let_in_who_waits(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let stream = stream.set_nonblocking(true).and(TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        let place = Place { _permit: permit, _token: self.open.token() };
                        self.serve(stream, peer, place);
                    }
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until there is room for one more; `told` is when the log was told that there is none.
    async fn place(&self, told: &mut Option<Instant>) -> Option<Place> {
        let free = Arc::clone(&self.places).try_acquire_owned();
        let permit = if let Ok(permit) = free {
            permit
        } else {
            if told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
                *told = Some(Instant::now());
                tracing::warn!("as many connections as may be: more wait until one ends");
            }
            Arc::clone(&self.places).acquire_owned().await.ok()?
        };
        Some(Place { _permit: permit, _token: self.open.token() })
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection had ended before it began");
        }
        tokio::spawn(connection::serve(Arc::clone(&self.shared), stream, peer, place));
    }
}

/// Whether accepting failed because of the one who connected.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
