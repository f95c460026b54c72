//! Coming in with a password.

use std::net::IpAddr;

use domain::Decision;
use domain::identity::{Client, Rejection, SESSION, StartSession, User, user};
use domain::ids::{SessionId, UserId};
use domain::values::Email;
use eventstore::answer::within;
use secrecy::SecretString;

use super::failures::Targets;
use super::refresh_token::{self, Salt};
use super::secrets::Secret;
use super::{Identity, IdentityError, Tokens};
use crate::command::Origin;
use crate::ports::passwords::{PasswordHash, Verified};
use crate::{CommandError, Refusal};

/// Who wants to come in, and from where.
#[derive(Debug)]
pub struct LogIn {
    /// The address of the account.
    pub email: Email,
    /// The password.
    pub password: SecretString,
    /// The network address of the client, if it came over a network.
    pub address: Option<IpAddr>,
    /// What the client says that it is.
    pub agent: Option<String>,
}

impl Identity {
    /// Starts a session, if the password is the one of the account.
    ///
    /// An address without an account, a wrong password, an account that may not come in and one that
    /// has failed too often are one answer, at the cost of one hash: nobody learns who has an account.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`] for all of these; [`IdentityError::NotVerified`] only to who knows
    /// the password; [`IdentityError::Busy`]: too many others want to come in.
    pub async fn log_in(&self, origin: &Origin, asked: LogIn) -> Result<Tokens, IdentityError> {
        let LogIn { email, password, address, agent } = asked;
        let pool = self.bus.store().pool();
        let targets = Targets::of(self.bus.digests()?, &email, address);
        let user = self.find(&email).await?;
        let hash = match user {
            Some(user) => self.password_of(user).await?,
            None => None,
        };
        let must_wait = targets.wait(pool).await?;
        let (user, hash) = match (user, hash) {
            (Some(user), Some(hash)) if !must_wait => (user, hash),
            _ => {
                self.passwords.verify_nothing(password).await?;
                if !must_wait {
                    targets.count(pool).await?;
                }
                return Err(IdentityError::NotLetIn);
            }
        };
        match self.passwords.verify(password, &hash).await? {
            Verified::Wrong => {
                targets.count(pool).await?;
                return Err(IdentityError::NotLetIn);
            }
            Verified::Right { rehashed } => {
                if let Some(rehashed) = rehashed {
                    self.replace_hash(user, &hash, &rehashed).await?;
                }
            }
        }
        let client =
            Client { address: address.map_or_else(String::new, |ip| ip.to_string()), agent };
        let tokens = self.start(origin, user, client).await?;
        targets.forgive(pool).await?;
        Ok(tokens)
    }

    /// Starts a session of `user_id`, who has proved to be the one.
    async fn start(
        &self,
        origin: &Origin,
        user_id: UserId,
        client: Client,
    ) -> Result<Tokens, IdentityError> {
        let started = self.start_after(origin, (user_id, client), Vec::new(), Vec::new()).await;
        match started {
            Err(IdentityError::Command(CommandError::Rejected(Refusal::Rejected(
                domain::Rejection::Identity(rejection),
            )))) => Err(match rejection {
                Rejection::NotVerified(_) => IdentityError::NotVerified,
                _ => IdentityError::NotLetIn,
            }),
            started => started,
        }
    }

    /// Starts a session of `user_id` behind what `before` decides, all of it in one append, and writes
    /// `secrets` with it.
    ///
    /// # Errors
    /// What is decided is rejected, [`IdentityError::InvalidToken`]: a secret was used up meanwhile.
    pub(super) async fn start_after(
        &self,
        origin: &Origin,
        (user_id, client): (UserId, Client),
        before: Vec<Box<dyn Decision>>,
        mut secrets: Vec<Secret<'_>>,
    ) -> Result<Tokens, IdentityError> {
        let session_id = SessionId::new(self.bus.ids.next());
        let now = self.bus.clock.now();
        let expires_at = now + self.lifetimes.session;
        let start = StartSession { session_id, user_id, client, started_at: now, expires_at };
        let mut salt: Salt = [0; 16];
        self.randomness.fill(&mut salt)?;
        secrets.push(Secret::RefreshToken {
            session: session_id,
            user: user_id,
            salt: &salt,
            now,
            expires_at: expires_at.min(now + self.lifetimes.idle),
        });
        // Who comes in acts, whoever asked.
        let origin =
            Origin { actor: format!("user:{user_id}"), idempotency_key: None, ..origin.clone() };
        let mut decisions = before;
        decisions.push(Box::new(start));
        let command = self.command(&origin, &("start-session", session_id), decisions)?;
        let receipt = self.execute(&command, &secrets).await?;
        let aggregates = self.bus.load(&[user(user_id)]).await?;
        let account = aggregates.get::<User>(user(user_id)).and_then(User::account);
        let roles = account.map(|account| account.roles.iter().map(ToString::to_string).collect());
        let refresh = refresh_token::make(self.bus.digests()?, session_id, &salt, 1);
        // What happened behind the start makes the token stale, so the roles may be later ones.
        debug_assert!(receipt.streams.iter().any(|(id, _)| id.category() == SESSION));
        let ids = (user_id, session_id);
        self.tokens_of(ids, roles.unwrap_or_default(), (receipt.position, expires_at), refresh)
    }

    pub(super) async fn password_of(
        &self,
        user: UserId,
    ) -> Result<Option<PasswordHash>, IdentityError> {
        let hash = sqlx::query_scalar!(
            "SELECT hash FROM identity.passwords WHERE user_id = $1",
            user.get()
        );
        let hash = within(hash.fetch_optional(self.bus.store().pool())).await?;
        Ok(hash.map(PasswordHash::new))
    }

    /// The same password under today's parameters; not if it was changed meanwhile.
    async fn replace_hash(
        &self,
        user: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), IdentityError> {
        let replaced = sqlx::query!(
            "UPDATE identity.passwords SET hash = $3 WHERE user_id = $1 AND hash = $2",
            user.get(),
            old.expose(),
            new.expose(),
        );
        within(replaced.execute(self.bus.store().pool())).await?;
        Ok(())
    }
}
