//! The next pair of tokens of a session.

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{EndReason, EndSession, Session, User, session, user};
use domain::ids::{SessionId, UserId};
use eventstore::Position;
use eventstore::answer::within;
use secrecy::SecretString;

use super::refresh_token::{self, Presented};
use super::{Identity, IdentityError, Tokens};
use crate::command::Origin;
use crate::ports::access_tokens::Claims;

/// How long a token that was replaced is taken once more, for whoever lost the answer.
const FORGIVEN: TimeDelta = TimeDelta::seconds(60);

/// What is kept of the refresh token of a session.
struct Kept {
    user: UserId,
    salt: Vec<u8>,
    expires_at: DateTime<Utc>,
}

impl Identity {
    /// Replaces a refresh token, and gives an access token with it.
    ///
    /// A token that was replaced gets the same answer once more, within a minute: the first one may
    /// have been lost. Any other use of it means that two have it, so the session ends.
    ///
    /// # Errors
    /// [`IdentityError::InvalidToken`]: it is none, or the session is over. Others as the enum says.
    pub async fn refresh(
        &self,
        origin: &Origin,
        token: &SecretString,
    ) -> Result<Tokens, IdentityError> {
        let presented = refresh_token::read(token).ok_or(IdentityError::InvalidToken)?;
        let digests = self.bus.digests()?;
        let kept = self.kept(presented.session).await?.ok_or(IdentityError::InvalidToken)?;
        if !presented.is_ours(digests, &kept.salt) {
            return Err(IdentityError::InvalidToken);
        }
        let now = self.bus.clock.now();
        // Before anything is looked at: whatever happens from here on makes the token stale.
        let position = self.bus.store().head().await?;
        let user_id = kept.user;
        let streams = [user(user_id), session(presented.session)];
        let aggregates = self.bus.load(&streams).await?;
        let account = aggregates.get::<User>(streams[0]).and_then(User::account);
        let known: Option<&Session> = aggregates.get(streams[1]);
        let (Some(account), Some(known)) = (account, known) else {
            return Err(IdentityError::InvalidToken);
        };
        // Whoever is erased is nobody any more.
        let goes_on = account.email.value().is_some() && known.goes_on(account, now);
        let stay = known.stay().filter(|_| now < kept.expires_at && goes_on);
        let stay = stay.ok_or(IdentityError::InvalidToken)?;
        let Some(number) = self.rotate(&presented, now, stay.expires_at).await? else {
            self.end_stolen(origin, user_id, presented.session).await?;
            return Err(IdentityError::InvalidToken);
        };
        let refresh = refresh_token::make(digests, presented.session, &kept.salt, number);
        let roles = account.roles.iter().map(ToString::to_string).collect();
        let ids = (user_id, presented.session);
        self.tokens_of(ids, roles, (position, stay.expires_at), refresh)
    }

    /// An access token of `session`, which is over at `end` with everything of it, beside `refresh`.
    pub(super) fn tokens_of(
        &self,
        (user, session): (UserId, SessionId),
        roles: Vec<String>,
        (position, end): (Position, DateTime<Utc>),
        refresh: SecretString,
    ) -> Result<Tokens, IdentityError> {
        let now = self.bus.clock.now();
        let access_expires_at = end.min(now + self.lifetimes.access_token);
        let claims = Claims {
            user: user.get(),
            session: session.get(),
            id: self.bus.ids.next(),
            issued_at: now,
            expires_at: access_expires_at,
            position,
            roles,
            organization: None,
        };
        let keys = self.keys.current();
        let key = keys.signing_key(now).ok_or(IdentityError::NoSigningKey)?;
        let access = self.tokens.sign(&claims, key)?;
        Ok(Tokens { session, user, access, access_expires_at, refresh })
    }

    async fn kept(&self, session: SessionId) -> Result<Option<Kept>, IdentityError> {
        let kept = sqlx::query!(
            "
            SELECT user_id, salt, expires_at
            FROM identity.refresh_tokens
            WHERE session_id = $1
            ",
            session.get(),
        );
        let kept = within(kept.fetch_optional(self.bus.store().pool())).await?;
        Ok(kept.map(|row| Kept {
            user: UserId::new(row.user_id),
            salt: row.salt,
            expires_at: row.expires_at,
        }))
    }

    /// The number of the token that follows `presented`; nothing if that was replaced for good.
    async fn rotate(
        &self,
        presented: &Presented,
        now: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Result<Option<i32>, IdentityError> {
        let expires_at = end.min(now + self.lifetimes.idle);
        // One statement, so that of two at the same time one is the second.
        let rotated = sqlx::query_scalar!(
            r#"
            UPDATE identity.refresh_tokens
            SET number = $2 + 1,
                is_forgiven = number > $2,
                rotated_at = CASE WHEN number = $2 THEN $3 ELSE rotated_at END,
                used_at = $3,
                expires_at = $4
            WHERE session_id = $1
              AND (number = $2 OR number = $2 + 1 AND NOT is_forgiven AND rotated_at > $5)
            RETURNING number
            "#,
            presented.session.get(),
            presented.number,
            now,
            expires_at,
            now - FORGIVEN,
        );
        Ok(within(rotated.fetch_optional(self.bus.store().pool())).await?)
    }

    async fn end_stolen(
        &self,
        origin: &Origin,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<(), IdentityError> {
        let end = EndSession { session_id, user_id, reason: EndReason::TokenReused };
        let asked = ("end-stolen-session", session_id);
        let command = self.command(origin, &asked, vec![Box::new(end)])?;
        self.bus.execute(&command).await?;
        tracing::warn!(session.id = %session_id, user.id = %user_id, "a refresh token was used again: its session is ended");
        Ok(())
    }
}
