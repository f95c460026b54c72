//! How a process learns what others erase.
//!
//! One connection of its own, so that neither a busy pool nor a silent connection of it matters:
//! it listens, and asks every [`POLL`] what was erased since it last asked. Positions of erasures
//! are given under the order lock of the log, so one number is where to go on. A notification only
//! makes it ask sooner; behind a pooler none comes. Each answer, and nothing else, renews the trust
//! in the cache.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::KeyringError;
use super::freshness::Asked;
use super::keyring::Shared;
use super::table;
use crate::answer::{silent, within};
use crate::notifications;

/// Who commits an erasure notifies this channel.
pub(super) const CHANNEL: &str = "eventstore_erased";

/// The pause between questions. With [`PATIENCE`] it is less than [`TRUST`](super::TRUST), so that an
/// answer that is slow does not end the trust.
const POLL: Duration = Duration::from_millis(400);

/// How long an answer is waited for before another connection is taken.
const PATIENCE: Duration = Duration::from_millis(450);

/// How long another connection is waited for; meanwhile the cache is not used.
const CONNECT: Duration = Duration::from_secs(5);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(50);

/// Erasures of one question.
const PAGE: i64 = 1_000;

/// The task; it ends with this.
#[derive(Debug)]
pub(super) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins; what was erased before is found in the table whenever a key is asked for.
pub(super) async fn watch(shared: &Arc<Shared>) -> Result<Watching, KeyringError> {
    let asked = Asked::now();
    let (listener, position) = within(async {
        let mut listener = listen(shared).await?;
        let position = table::last_erasure(&mut listener).await?;
        Ok::<_, sqlx::Error>((listener, position))
    })
    .await?;
    shared.freshness.confirm(asked);
    Ok(Watching(tokio::spawn(run(Arc::downgrade(shared), Some(listener), position))))
}

async fn listen(shared: &Shared) -> Result<PgListener, sqlx::Error> {
    match notifications::listen(&shared.pool, CHANNEL).await? {
        Some(listener) => Ok(listener),
        None => notifications::deaf(&shared.pool).await,
    }
}

async fn run(shared: Weak<Shared>, mut held: Option<PgListener>, mut position: i64) {
    let mut failures: u32 = 0;
    loop {
        let Some(keyring) = shared.upgrade() else { return };
        let asked = ask(&keyring, held.take(), &mut position).await;
        drop(keyring);
        match asked {
            Ok(mut listener) => {
                if failures > 2 {
                    tracing::info!("knows again what is erased");
                }
                failures = 0;
                match timeout(POLL, listener.try_recv()).await {
                    Ok(Err(_) | Ok(None)) => sleep(PAUSE).await,
                    Ok(Ok(Some(_))) | Err(_) => held = Some(listener),
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures == 3 {
                    tracing::warn!(%error, "cannot ask what is erased, keys are not cached meanwhile");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Asks, until everything is known.
async fn ask(
    shared: &Shared,
    held: Option<PgListener>,
    position: &mut i64,
) -> Result<PgListener, sqlx::Error> {
    let mut listener = match held {
        Some(listener) => listener,
        None => timeout(CONNECT, listen(shared)).await.map_err(|_| silent())??,
    };
    loop {
        let asked = Asked::now();
        let erased = table::erased_after(&mut listener, *position, PAGE);
        let erased = timeout(PATIENCE, erased).await.map_err(|_| silent())??;
        shared.forget(erased.iter().map(|(_, subject)| subject));
        if let Some((last, _)) = erased.last() {
            *position = *last;
        }
        if i64::try_from(erased.len()) != Ok(PAGE) {
            shared.freshness.confirm(asked);
            return Ok(listener);
        }
    }
}
