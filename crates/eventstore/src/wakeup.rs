//! How a follower learns that there is more in the log.
//!
//! A notification is only a hint: it may be lost with its connection, and a follower that was
//! busy missed some. So a follower always reads first and waits only when it found nothing, and
//! it waits no longer than [`POLL`].

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;

/// The longest a follower waits when no notification comes.
pub const POLL: Duration = Duration::from_millis(500);

/// The way to be woken; clone one for each follower.
#[derive(Debug, Clone)]
pub struct Wakeup {
    appended: watch::Receiver<()>,
}

impl Wakeup {
    /// Listens on one connection of `pool`, for all followers of this process, as long as a clone
    /// of the returned value lives.
    #[must_use]
    pub fn listen(pool: PgPool) -> Self {
        let (appended, receiver) = watch::channel(());
        tokio::spawn(async move {
            while !appended.is_closed() {
                if pool.is_closed() {
                    return;
                }
                if let Err(error) = forward(&pool, &appended).await {
                    tracing::warn!(error = %error, "lost the listening connection, followers poll meanwhile");
                    tokio::time::sleep(POLL).await;
                }
            }
        });
        Self { appended: receiver }
    }

    /// Waits until something may have been appended since the last call, at most [`POLL`].
    pub async fn wait(&mut self) {
        // Closed or late: either way the follower looks for itself.
        let _ = tokio::time::timeout(POLL, self.appended.changed()).await;
    }
}

async fn forward(pool: &PgPool, appended: &watch::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("eventstore_appended").await?;
    appended.send_replace(());
    loop {
        tokio::select! {
            notification = listener.recv() => {
                notification?;
                appended.send_replace(());
            }
            () = appended.closed() => return Ok(()),
        }
    }
}
