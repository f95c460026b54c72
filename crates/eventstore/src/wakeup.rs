//! How a follower learns that there is more in the log.
//!
//! A notification is only a hint: it may be lost with its connection, and a follower that was
//! busy missed some. So a follower always reads first and waits only when it found nothing, and
//! it waits no longer than [`POLL`].

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::notifications;

/// The longest a follower waits when no notification comes.
pub const POLL: Duration = Duration::from_millis(500);

/// The pause before it is asked again whether notifications can be heard.
const DEAF: Duration = Duration::from_mins(1);

/// The way to be woken; clone one for each follower.
#[derive(Debug, Clone)]
pub struct Wakeup {
    appended: watch::Receiver<()>,
}

impl Wakeup {
    /// Listens on a connection of its own to where `pool` leads, for all followers of this process,
    /// until the last clone of the returned value is dropped or `pool` is closed.
    ///
    /// Nothing can be heard through a pooler that does not keep sessions; followers then look every
    /// [`POLL`]. Where that is too late, give a pool that leads to the server itself.
    #[must_use]
    pub fn listen(pool: PgPool) -> Self {
        Self::listen_to(pool, "eventstore_appended")
    }

    /// [`Wakeup::listen`] to another channel than that of appends.
    #[must_use]
    pub fn listen_to(pool: PgPool, channel: &'static str) -> Self {
        let (appended, receiver) = watch::channel(());
        tokio::spawn(async move {
            tokio::select! {
                () = appended.closed() => {}
                () = pool.close_event() => {}
                never = forward_for_ever(&pool, channel, &appended) => match never {},
            }
        });
        Self { appended: receiver }
    }

    /// Waits until something may have been appended since the last call, at most [`POLL`].
    pub async fn wait(&mut self) {
        let _ = timeout(POLL, self.notified()).await;
    }

    /// Waits until something may have been appended since the last call, for those who look for
    /// themselves every now and then.
    pub async fn notified(&mut self) {
        if self.appended.changed().await.is_err() {
            // Nobody listens any more.
            pending::<()>().await;
        }
    }
}

async fn forward_for_ever(
    pool: &PgPool,
    channel: &str,
    appended: &watch::Sender<()>,
) -> Infallible {
    let mut is_deaf = false;
    loop {
        match forward(pool, channel, appended).await {
            Ok(End::Lost) => {
                tracing::warn!("lost the listening connection, followers poll meanwhile");
                sleep(POLL).await;
            }
            Ok(End::Deaf) => {
                if !is_deaf {
                    tracing::info!("a pooler keeps notifications away, followers poll");
                }
                is_deaf = true;
                sleep(DEAF).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen, followers poll meanwhile");
                sleep(POLL).await;
            }
        }
    }
}

/// Why no notification comes any more.
enum End {
    Lost,
    Deaf,
}

async fn forward(
    pool: &PgPool,
    channel: &str,
    appended: &watch::Sender<()>,
) -> Result<End, sqlx::Error> {
    let Some(mut listener) = notifications::listen(pool, channel).await? else {
        return Ok(End::Deaf);
    };
    appended.send_replace(());
    while listener.try_recv().await?.is_some() {
        appended.send_replace(());
    }
    Ok(End::Lost)
}
