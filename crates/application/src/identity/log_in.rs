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
use super::second_factor::{self, RightCode};
use super::secrets::Secret;
use super::{Identity, IdentityError, Tokens, devices};
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
    /// What the device of the second factor shows, or a code for when it is lost.
    pub code: Option<SecretString>,
    /// The network address of the client, if it came over a network.
    pub address: Option<IpAddr>,
    /// What the client says that it is.
    pub agent: Option<String>,
}

/// What goes before the start of a session, and with it.
#[derive(Default)]
pub(super) struct Before<'a> {
    /// The code that was proved besides, which is used up.
    pub(super) right: Option<RightCode>,
    /// What is decided first.
    pub(super) decisions: Vec<Box<dyn Decision>>,
    /// What is written.
    pub(super) secrets: Vec<Secret<'a>>,
}

/// What is told to who is not let in.
pub(super) fn not_let_in(error: IdentityError) -> IdentityError {
    match error {
        IdentityError::Command(CommandError::Rejected(Refusal::Rejected(
            domain::Rejection::Identity(rejection),
        ))) => match rejection {
            Rejection::NotVerified(_) => IdentityError::NotVerified,
            Rejection::SecondFactorRequired(_) => IdentityError::SecondFactorRequired,
            // It was used at the same time.
            Rejection::NoSecondFactor(_) => IdentityError::CodeRefused,
            _ => IdentityError::NotLetIn,
        },
        error => error,
    }
}

impl Identity {
    /// Starts a session, if the password is the one of the account, and so is the code if there is a
    /// second factor.
    ///
    /// An address without an account, a wrong password, an account that may not come in and one that
    /// has failed too often are one answer, at the cost of one hash: nobody learns who has an account.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`] for all of these; [`IdentityError::NotVerified`] only to who knows
    /// the password, and so [`IdentityError::SecondFactorRequired`] and [`IdentityError::CodeRefused`],
    /// before which nothing looks at the second factor; [`IdentityError::Busy`]: too many others want to come in.
    pub async fn log_in(&self, origin: &Origin, asked: LogIn) -> Result<Tokens, IdentityError> {
        let LogIn { email, password, code, address, agent } = asked;
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
        let right = match &code {
            Some(code) => self.prove_code(user, code, &targets).await?,
            None => None,
        };
        let tokens = self.start(origin, user, client, right).await?;
        targets.forgive(pool).await?;
        if right.is_some() {
            self.forgive_tries(user).await?;
        }
        Ok(tokens)
    }

    /// Starts a session of `user_id`, who has proved to be the one, perhaps by a `right` code as well,
    /// which is used up with it.
    pub(super) async fn start(
        &self,
        origin: &Origin,
        user_id: UserId,
        client: Client,
        right: Option<RightCode>,
    ) -> Result<Tokens, IdentityError> {
        let before = Before { right, ..Before::default() };
        self.start_after(origin, (user_id, client), before).await.map_err(not_let_in)
    }

    /// Starts a session of `user_id` behind what comes `before`, all of it in one append.
    ///
    /// # Errors
    /// What is decided is rejected, [`IdentityError::InvalidToken`]: a secret was used up meanwhile.
    pub(super) async fn start_after(
        &self,
        origin: &Origin,
        (user_id, client): (UserId, Client),
        before: Before<'_>,
    ) -> Result<Tokens, IdentityError> {
        let Before { right, mut decisions, secrets } = before;
        let session_id = SessionId::new(self.bus.ids.next());
        let now = self.bus.clock.now();
        let expires_at = now + self.lifetimes.session;
        let device = devices::digest(self.bus.digests()?, user_id, &client);
        let start = StartSession {
            session_id,
            user_id,
            client,
            proves_second_factor: right.is_some(),
            started_at: now,
            expires_at,
        };
        let mut salt: Salt = [0; 16];
        self.randomness.fill(&mut salt)?;
        let code = right.as_ref().map(|right| Secret::Code { user: user_id, right });
        let device = Secret::Device { user: user_id, digest: &device, session: session_id, now };
        let first = Secret::RefreshToken {
            session: session_id,
            user: user_id,
            salt: &salt,
            now,
            expires_at: expires_at.min(now + self.lifetimes.idle),
        };
        let secrets: Vec<_> = secrets.into_iter().chain(code).chain([device, first]).collect();
        decisions.extend(right.and_then(|right| second_factor::used(user_id, right)));
        decisions.push(Box::new(start));
        // Who comes in acts, whoever asked.
        let origin =
            Origin { actor: format!("user:{user_id}"), idempotency_key: None, ..origin.clone() };
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
