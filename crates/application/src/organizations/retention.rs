//! What was personal in invitations is not kept when they are over.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::UserId;
use eventstore::answer::within;
use eventstore::{AppendError, CommandId, EventStore, Metadata};
use uuid::Uuid;

use super::invitations::VALID;
use crate::codec::personal_subject;

/// How old an invitation is at least that has its answer: until then it counts how many there were.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Most at a time: each is an append.
const MOST: i64 = 500;

/// Under which ids of erasures are made, so that they never meet other UUIDs.
const ERASURES: Uuid = Uuid::from_u128(0x0193_4f3c_9e21_7c55_8f10_6572_6173_6500);

/// Erases the addresses of invitations that are over at `now`. Answers of how many; if that is none, there
/// are no more.
///
/// # Errors
/// The database cannot be reached.
pub async fn erase_invitations(
    store: &EventStore,
    now: DateTime<Utc>,
) -> Result<usize, AppendError> {
    let unavailable = |error| AppendError::Unavailable { source: std::sync::Arc::new(error) };
    let over = sqlx::query_scalar!(
        "
        SELECT invitation_id FROM identity.invitations
        WHERE expires_at < $1 OR is_over AND expires_at < $2
        ORDER BY expires_at
        LIMIT $3
        ",
        now,
        now + VALID - KEPT,
        MOST,
    );
    let over = within(over.fetch_all(store.pool())).await.map_err(unavailable)?;
    for id in &over {
        let metadata = Metadata {
            actor: "operator".to_owned(),
            tenant: None,
            correlation_id: *id,
            causation_id: None,
            trace: None,
        };
        let command = CommandId::new(Uuid::new_v5(&ERASURES, id.as_bytes()));
        store.erase(&personal_subject(UserId::new(*id)), command, metadata).await?;
        let forgotten =
            sqlx::query!("DELETE FROM identity.invitations WHERE invitation_id = $1", id);
        within(forgotten.execute(store.pool())).await.map_err(unavailable)?;
    }
    Ok(over.len())
}
