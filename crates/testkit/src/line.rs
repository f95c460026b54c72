//! A line to a server that can be cut, can be slow or late, and can fall silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// For how long the line still takes what arrives late.
const COLLECTED: Duration = Duration::from_millis(50);

/// How long a server gets to read what arrived late.
const READ: Duration = Duration::from_secs(1);

/// Carries connections to a server. Ends with the runtime it was made on.
#[derive(Debug)]
pub struct Line {
    port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct State {
    silenced: watch::Sender<u32>,
    cut: watch::Sender<u32>,
    late: watch::Sender<Duration>,
    /// How many bytes the line still carries from the server before it cuts everything; `u64::MAX`
    /// for no end.
    allowance: AtomicU64,
    /// How long whatever comes from the server is kept back.
    delay_ms: AtomicU64,
}

impl Line {
    /// Lays a line to the server that listens at `host` and `port`.
    ///
    /// # Panics
    /// No port of this machine is free.
    pub async fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let near_port = listener.local_addr().map_or(0, |address: SocketAddr| address.port());
        let state = Arc::new(State {
            silenced: watch::Sender::new(0),
            cut: watch::Sender::new(0),
            late: watch::Sender::new(Duration::ZERO),
            allowance: AtomicU64::new(u64::MAX),
            delay_ms: AtomicU64::new(0),
        });
        let server = (host.to_owned(), port);
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { port: near_port, state, accepting: accepting.abort_handle() }
    }

    /// Where it begins, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connections open now carry nothing more and do not end; those opened later are as before.
    pub fn fall_silent(&self) {
        self.state.silenced.send_modify(|times| *times += 1);
    }

    /// Lets nobody else in; the connections open now go on.
    pub fn refuse_others(&self) {
        self.accepting.abort();
    }

    /// Ends the connections open now.
    pub fn cut(&self) {
        self.state.cut.send_modify(|times| *times += 1);
    }

    /// Ends the connections open now, but what is sent on them in the next 50 ms arrives at
    /// the server all the same, after `delay`, when the sender may have others open already. Nothing
    /// is answered to it.
    pub fn cut_and_deliver_late(&self, delay: Duration) {
        self.state.late.send_replace(delay);
    }

    /// What comes from the server is kept back for `delay` from now on, each time that something
    /// comes; what goes to it is not.
    pub fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Ends every connection once `bytes` more have come from the server, in the middle of a
    /// message if it must be; those opened later are as before.
    pub fn cut_after(&self, bytes: u64) {
        self.state.allowance.store(bytes, Ordering::SeqCst);
    }
}

async fn carry(near: TcpStream, server: (String, u16), state: Arc<State>) {
    let (mut silenced, mut cut) = (state.silenced.subscribe(), state.cut.subscribe());
    let Ok(far) = TcpStream::connect(server).await else { return };
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let mut late = state.late.subscribe();
    let upwards = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = tokio::select! {
                read = from_near.read(&mut buffer) => read.unwrap_or_default(),
                _ = late.changed() => return true,
            };
            if length == 0 || to_far.write_all(&buffer[..length]).await.is_err() {
                return false;
            }
        }
    };
    let downwards = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_far.read(&mut buffer).await {
            let delay_ms = state.delay_ms.load(Ordering::SeqCst);
            if delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            let spent = |left: u64| {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                Some(if left == u64::MAX { left } else { left.saturating_sub(length) })
            };
            let before = state.allowance.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spent);
            let before = before.unwrap_or_default();
            let allowed = usize::try_from(before).unwrap_or(usize::MAX).min(length);
            if to_near.write_all(&buffer[..allowed]).await.is_err() {
                return;
            }
            if allowed < length || before == u64::try_from(length).unwrap_or_default() {
                state.allowance.store(u64::MAX, Ordering::SeqCst);
                state.cut.send_modify(|times| *times += 1);
                return;
            }
        }
    };
    let is_late = tokio::select! {
        is_late = upwards => is_late,
        () = downwards => false,
        _ = cut.changed() => false,
        // Both ends stay open, and nobody carries anything.
        _ = silenced.changed() => std::future::pending().await,
    };
    if is_late {
        let mut collected = Vec::new();
        let collect =
            async { while from_near.read_buf(&mut collected).await.is_ok_and(|read| read > 0) {} };
        let _ = tokio::time::timeout(COLLECTED, collect).await;
        drop((from_near, to_near));
        let delay = *late.borrow();
        tokio::time::sleep(delay).await;
        if to_far.write_all(&collected).await.is_ok() {
            tokio::time::sleep(READ).await;
        }
    }
}
