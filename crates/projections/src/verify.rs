//! Proves that a live read model is what the log says, row by row, or lists where it is not.
//!
//! It is made anew beside the live one, and compared with it at the same position, while that serves
//! and follows; then what was made is dropped.

use std::time::Duration;

use sqlx::PgPool;

use crate::comparison::Comparison;
use crate::rebuild::{self, Options, Progress, RebuildError, Request};

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Why nothing was proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not begin.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Somebody cancelled it.
    #[error("what was made to be compared is gone: somebody cancelled it")]
    Cancelled,
    /// Nothing is live that could be compared.
    #[error("{0} is not live yet")]
    NotLive(String),
    /// The database did not answer.
    #[error("look how far it is")]
    Database(#[from] sqlx::Error),
}

/// Compares the live generation with one made from the log, by an [`Engine`](crate::Engine) that runs
/// as the worker of `request`.
///
/// # Errors
/// See [`VerifyError`].
pub async fn verify(
    pool: &PgPool,
    request: Request<'_>,
    options: Options,
    mut report: impl FnMut(&Progress),
) -> Result<Comparison, VerifyError> {
    let id = rebuild::begin_to_verify(pool, request, options).await?;
    let outcome = loop {
        let Some(progress) = rebuild::progress(pool, id).await? else {
            return Err(VerifyError::Cancelled);
        };
        report(&progress);
        if progress.state == "built" {
            let not_live = || VerifyError::NotLive(request.projection.model());
            break progress.comparison.ok_or_else(not_live);
        }
        tokio::time::sleep(LOOK).await;
    };
    rebuild::drop_verified(pool, request.projection, id).await?;
    outcome
}
