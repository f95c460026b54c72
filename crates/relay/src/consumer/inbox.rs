//! The mark of a message and its effect, in one transaction.

use eventstore::answer::within;
use sqlx::PgPool;

use super::{Handler, HandlerError};
use crate::IncomingMessage;

/// Whether a message took effect now, or had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Now,
    Before,
}

/// Lets `message` take effect for `consumer`, unless it has.
///
/// The mark comes first: another copy that is at the same message waits here for this
/// transaction, and then sees the mark.
pub(super) async fn take_effect<H: Handler>(
    pool: &PgPool,
    consumer: &str,
    handler: &H,
    message: &IncomingMessage,
) -> Result<Effect, HandlerError> {
    within(async {
        let mut transaction = pool.begin().await?;
        let marked = sqlx::query!(
            "INSERT INTO relay.inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            consumer,
            message.id,
        )
        .execute(&mut *transaction)
        .await?;
        if marked.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(Effect::Before);
        }
        handler.handle(&mut transaction, message).await?;
        transaction.commit().await?;
        Ok(Effect::Now)
    })
    .await
}
