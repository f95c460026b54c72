//! The sessions of a user.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::identity::{EndReason, EndSession, EndSessions, Session, User, session, user};
use domain::ids::{SessionId, UserId};
use eventstore::Receipt;
use eventstore::answer::within;

use super::{Identity, IdentityError};
use crate::command::Origin;

/// Most sessions that are shown of one user.
const MOST: i64 = 100;

/// A session that goes on.
#[derive(Debug, Clone)]
pub struct SessionShown {
    /// The session.
    pub id: SessionId,
    /// From which network address it was started.
    pub address: Option<IpAddr>,
    /// What the client said that it is.
    pub agent: Option<String>,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it last got tokens.
    pub used_at: DateTime<Utc>,
    /// When it is over if it is not used.
    pub expires_at: DateTime<Utc>,
}

impl Identity {
    /// The sessions of `user_id` that go on, the last used first; at most a hundred.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn sessions(&self, user_id: UserId) -> Result<Vec<SessionShown>, IdentityError> {
        let now = self.bus.clock.now();
        let rows = sqlx::query!(
            "
            SELECT session_id, used_at, expires_at
            FROM identity.refresh_tokens
            WHERE user_id = $1 AND expires_at > $2
            ORDER BY used_at DESC
            LIMIT $3
            ",
            user_id.get(),
            now,
            MOST,
        );
        let rows = within(rows.fetch_all(self.bus.store().pool())).await?;
        let streams = rows.iter().map(|row| session(SessionId::new(row.session_id)));
        let streams: Vec<_> = [user(user_id)].into_iter().chain(streams).collect();
        let aggregates = self.bus.load(&streams).await?;
        let Some(account) = aggregates.get::<User>(user(user_id)).and_then(User::account) else {
            return Ok(Vec::new());
        };
        let shown = rows.into_iter().filter_map(|row| {
            let id = SessionId::new(row.session_id);
            let known: &Session = aggregates.get(session(id))?;
            let stay = known.stay().filter(|_| known.goes_on(account, now))?;
            let client = stay.client.value();
            Some(SessionShown {
                id,
                address: client.and_then(|client| client.address.parse().ok()),
                agent: client.and_then(|client| client.agent.clone()),
                started_at: stay.started_at,
                used_at: row.used_at,
                expires_at: row.expires_at,
            })
        });
        Ok(shown.collect())
    }

    /// Ends the session `session_id` of `user_id`.
    ///
    /// # Errors
    /// It is no session of that user.
    pub async fn end_session(
        &self,
        origin: &Origin,
        (user_id, session_id): (UserId, SessionId),
        reason: EndReason,
    ) -> Result<Receipt, IdentityError> {
        let end = EndSession { session_id, user_id, reason };
        let asked = ("end-session", session_id);
        let command = self.command(origin, &asked, vec![Box::new(end)])?;
        Ok(self.bus.execute(&command).await?)
    }

    /// Ends all sessions of `user_id`, but for `keep`.
    ///
    /// # Errors
    /// There is no such user, or the session to keep is none of that user's that goes on.
    pub async fn end_sessions(
        &self,
        origin: &Origin,
        user_id: UserId,
        keep: Option<SessionId>,
    ) -> Result<Receipt, IdentityError> {
        let end = EndSessions { user_id, keep };
        let asked = ("end-sessions", user_id, keep);
        let command = self.command(origin, &asked, vec![Box::new(end)])?;
        Ok(self.bus.execute(&command).await?)
    }
}
