//! Accounts and sessions, as clients use them.
//!
//! What happens goes through the [`CommandBus`] like everything else; what must be in no event (hashes
//! of passwords, what tokens are recognised by) is written in the transaction of the same append. Who
//! asks learns nothing of others: see [`Identity::register`] and [`Identity::log_in`].
//!
//! Tokens: an access token says for some minutes who asks ([`crate::access`] knows which of them are
//! stale); the refresh token of a session gets the next one, and is replaced each time. A program has
//! an API key instead, which is remembered for as long as nothing happens to it or its owner.

mod accounts;
mod api_keys;
mod authenticate;
mod devices;
mod external;
mod failures;
mod log_in;
mod mailed;
mod operators;
mod refresh;
mod refresh_token;
mod retention;
mod second_factor;
mod secrets;
mod sessions;
mod signing_keys;
mod users;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Decision;
use domain::identity::{Account, User};
use domain::ids::{SessionId, UserId};
use domain::values::Email;
use eventstore::aggregate::LoadError;
use eventstore::answer::{begin, within};
use eventstore::{AppendError, Fingerprint, KeyringError, Receipt};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::command::{Command, Origin};
use crate::passwords::{self, PasswordFault};
use crate::ports::access_tokens::{AccessTokens, Jwks, SignError};
use crate::ports::external_login::ProviderError;
use crate::ports::passwords::{BreachedPasswords, PasswordHash, Passwords, PasswordsError};
use crate::ports::{NoRandomness, Randomness};
use crate::second_factor::totp::InvalidLabel;
use crate::{CommandBus, CommandError, codec};
use secrets::SecretError;

pub use accounts::{ChangeEmail, ChangePassword, Register};
pub use api_keys::{ApiKeyShown, AuthenticatedKey, GivenApiKey, NewApiKey, RotateKey};
pub use authenticate::{Authenticated, NotAuthenticated};
pub use devices::NewDevice;
pub use external::{
    BegunLogin, CompleteLogin, ExternalIdentityShown, ExternalLogins, InvalidRedirect,
    LinkIdentity, Redirects,
};
pub use log_in::LogIn;
pub use mailed::{Mailed, Purpose};
pub use operators::NewAccount;
pub use retention::prune;
pub use second_factor::{Enrolment, RecoveryCodes, SecondFactors};
pub(crate) use secrets::Secret;
pub use sessions::SessionShown;
pub use signing_keys::SigningKeys;
pub use users::UserShown;

/// How often an append beside secrets is tried when others are faster.
const ATTEMPTS: usize = 5;

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// An access token.
    pub access_token: TimeDelta,
    /// A session that is used.
    pub session: TimeDelta,
    /// A session that is not.
    pub idle: TimeDelta,
    /// What was mailed to prove an address.
    pub verification: TimeDelta,
    /// What was mailed to choose another password.
    pub password_reset: TimeDelta,
}

/// Accounts and sessions. Clones share everything.
#[derive(Clone)]
pub struct Identity {
    bus: CommandBus,
    passwords: Arc<dyn Passwords>,
    breached: Arc<dyn BreachedPasswords>,
    randomness: Arc<dyn Randomness>,
    tokens: Arc<dyn AccessTokens>,
    keys: SigningKeys,
    lifetimes: Lifetimes,
    /// What is remembered of API keys.
    api_keys: Arc<api_keys::Remembered>,
    second_factors: SecondFactors,
    external: Option<ExternalLogins>,
    /// Transactions at once: each may want another connection, for the key of a new subject, so half of
    /// the connections are left for that.
    transactions: Arc<Semaphore>,
}

/// What [`Identity`] is made of besides the bus.
#[derive(Clone)]
pub struct Parts {
    /// Hashes passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Knows passwords that others know.
    pub breached: Arc<dyn BreachedPasswords>,
    /// For tokens.
    pub randomness: Arc<dyn Randomness>,
    /// Signs access tokens.
    pub tokens: Arc<dyn AccessTokens>,
    /// With what.
    pub keys: SigningKeys,
    /// How long things last.
    pub lifetimes: Lifetimes,
    /// What second factors take.
    pub second_factors: SecondFactors,
}

/// What lets somebody in.
#[derive(Debug)]
pub struct Tokens {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// For requests, some minutes long.
    pub access: SecretString,
    /// When it is over.
    pub access_expires_at: DateTime<Utc>,
    /// For the next pair of tokens, once.
    pub refresh: SecretString,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Address or password are wrong, or who asks may not come in: which of it is not told.
    #[error("address or password are wrong")]
    NotLetIn,
    /// The password is right, but the address was never proved.
    #[error("the address is not verified")]
    NotVerified,
    /// The password is right, and so must a code of the second factor be, which was not given.
    #[error("the second factor is to be proved")]
    SecondFactorRequired,
    /// The code is wrong, or has been used.
    #[error("the code is not valid")]
    CodeRefused,
    /// The token was never given out, has been used or is over.
    #[error("the token is not valid")]
    InvalidToken,
    /// The password may not be taken.
    #[error("the password breaks {} rules", .0.len())]
    WeakPassword(Vec<PasswordFault>),
    /// Somebody else has proved to have the address.
    #[error("the address has another account")]
    AddressTaken,
    /// The user has as many API keys as may be.
    #[error("the user has as many API keys as may be")]
    TooManyApiKeys,
    /// An address, or by an organization, was invited as often as may be in a day.
    #[error("the address or the organization has had too many invitations in a day")]
    TooManyInvitations,
    /// The login at a provider was never begun here, has been completed or is over.
    #[error("no such login was begun")]
    NotBegun,
    /// A provider does not say who somebody is.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Browsers must not be sent there.
    #[error("the address to be sent to afterwards is not allowed")]
    RedirectNotAllowed,
    /// The provider names no address, or does not vouch for it, and nobody has linked the identity.
    #[error("the provider does not vouch for the address")]
    AddressNotVouched,
    /// Somebody else comes in by this identity.
    #[error("the identity is linked to another user")]
    IdentityTaken,
    /// More want to come in than can be looked at.
    #[error("too many passwords are to be checked")]
    Busy,
    /// The command had no effect, or may have had.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A state could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The database cannot be reached.
    #[error("ask the database")]
    Database(#[from] sqlx::Error),
    /// Something sealed cannot be written or read.
    #[error("use the keys of personal data")]
    Keyring(#[from] KeyringError),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// A password could not be hashed.
    #[error("hash a password")]
    Passwords(#[source] PasswordsError),
    /// A token could not be signed.
    #[error("sign an access token")]
    Sign(#[from] SignError),
    /// Apps cannot be told of a second factor.
    #[error(transparent)]
    Label(#[from] InvalidLabel),
    /// There is no key to sign with.
    #[error("there is no key to sign access tokens with")]
    NoSigningKey,
}

impl From<PasswordsError> for IdentityError {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::Busy,
            error => Self::Passwords(error),
        }
    }
}

impl From<SecretError> for IdentityError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Gone => Self::InvalidToken,
            SecretError::TooManyApiKeys => Self::TooManyApiKeys,
            SecretError::TooManyInvitations => Self::TooManyInvitations,
            SecretError::ApiKeyRotated(key) => {
                let rotated = domain::identity::Rejection::ApiKeyRotated(key);
                Self::Command(CommandError::Rejected(domain::Rejection::from(rotated).into()))
            }
            SecretError::CodeGone => Self::CodeRefused,
            SecretError::Database(error) => Self::Database(error),
        }
    }
}

impl Identity {
    /// On `bus`, which must keep personal data.
    #[must_use]
    pub fn new(bus: CommandBus, parts: Parts) -> Self {
        let Parts { passwords, breached, randomness, tokens, keys, lifetimes, second_factors } =
            parts;
        let most = bus.store().pool().options().get_max_connections() / 2;
        let transactions = Arc::new(Semaphore::new(most.max(1).try_into().unwrap_or(1)));
        let api_keys = Arc::default();
        let external = None;
        Self {
            bus,
            passwords,
            breached,
            randomness,
            tokens,
            keys,
            lifetimes,
            api_keys,
            second_factors,
            external,
            transactions,
        }
    }

    /// Where its commands go.
    #[must_use]
    pub const fn bus(&self) -> &CommandBus {
        &self.bus
    }

    /// The keys of access tokens.
    #[must_use]
    pub const fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// The public halves of the keys of access tokens.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        self.keys.current().jwks(self.bus.clock.now())
    }

    /// A command of `origin` that asks for `decisions`. `asked` tells it from others of the same name:
    /// no secret belongs there.
    pub(crate) fn command(
        &self,
        origin: &Origin,
        asked: &impl serde::Serialize,
        decisions: Vec<Box<dyn Decision>>,
    ) -> Result<Command, CommandError> {
        let fingerprint = self.fingerprint(asked)?;
        Ok(Command::of(&self.bus, origin, fingerprint, decisions))
    }

    /// What is asked may hold personal data, so nobody can guess it from the fingerprint.
    fn fingerprint(&self, asked: &impl serde::Serialize) -> Result<Fingerprint, CommandError> {
        let asked = serde_json::to_vec(asked);
        let asked = asked.map_err(|error| CommandError::Encode(error.into()))?;
        Ok(self.bus.digests()?.fingerprint(&asked))
    }

    /// Appends what follows from `command` and writes `secrets`, all of it or nothing.
    pub(crate) async fn execute(
        &self,
        command: &Command,
        secrets: &[Secret<'_>],
    ) -> Result<Receipt, IdentityError> {
        let pool = self.bus.store().pool();
        // Held until the end; nobody closes it.
        let _turn = self.transactions.acquire().await;
        let mut attempt = 1;
        loop {
            let mut transaction = within(begin(pool, "BEGIN")).await?;
            // Before the append, which makes others wait until the end of the transaction.
            for secret in secrets {
                within(secret.write(&mut transaction)).await?;
            }
            match self.bus.execute_in(&mut transaction, command).await {
                Ok(receipt) if receipt.repeated => {
                    within(transaction.rollback()).await?;
                    return Ok(receipt);
                }
                Ok(receipt) => {
                    let committed = within(transaction.commit()).await;
                    return match committed {
                        Ok(()) => Ok(receipt),
                        Err(error) => self.confirm(command, error).await,
                    };
                }
                Err(CommandError::Append(AppendError::Conflict { .. })) if attempt < ATTEMPTS => {
                    within(transaction.rollback()).await?;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The receipt of `command`, whose commit got no answer.
    async fn confirm(
        &self,
        command: &Command,
        error: sqlx::Error,
    ) -> Result<Receipt, IdentityError> {
        let (id, fingerprint) = (command.given.id, command.given.fingerprint);
        if let Ok(Some(receipt)) = self.bus.store().repeated(id, fingerprint).await {
            return Ok(Receipt { repeated: false, ..receipt });
        }
        let error = AppendError::Unconfirmed { source: Arc::new(error) };
        Err(CommandError::Append(error).into())
    }

    /// The receipt of what was `asked` under the name that the client gave it, if it took effect
    /// before: what proved that it may be done, a password or a token, is not the one any more.
    pub(crate) async fn repeated(
        &self,
        origin: &Origin,
        asked: &impl serde::Serialize,
    ) -> Result<Option<Receipt>, IdentityError> {
        if origin.idempotency_key.is_none() {
            return Ok(None);
        }
        let (id, fingerprint) = (origin.command_id(uuid::Uuid::nil()), self.fingerprint(asked)?);
        let known = self.bus.store().repeated(id, fingerprint).await;
        Ok(known.map_err(CommandError::Append)?)
    }

    /// Who has `email`, if anybody.
    async fn find(&self, email: &Email) -> Result<Option<UserId>, IdentityError> {
        self.holder(domain::identity::EMAIL, email.unique_form()).await
    }

    /// Who has claimed `value`, if anybody.
    async fn holder(
        &self,
        namespace: &'static str,
        value: String,
    ) -> Result<Option<UserId>, IdentityError> {
        let nobody = domain::identity::user(UserId::new(uuid::Uuid::nil()));
        let claim =
            domain::Claim { namespace, value, subject: Some(UserId::new(uuid::Uuid::nil())) };
        let digests = Some(self.bus.digests()?);
        let claim = codec::claim(claim, &codec::stream_id(nobody), digests)
            .map_err(|error| CommandError::Encode(error.into()))?;
        let holder = self.bus.store().holder(&claim).await?;
        let stream = holder.and_then(|stream| stream.as_str().parse::<domain::Stream>().ok());
        Ok(stream.map(|stream| UserId::new(stream.id())))
    }

    /// What is kept of an address where it must not be known.
    pub(crate) fn digest_of(&self, email: &Email) -> Result<[u8; 32], CommandError> {
        Ok(self.bus.digests()?.of("identity.address", &[email.unique_form().as_bytes()]))
    }

    /// The account of `user`, what is personal in it opened.
    pub(crate) async fn account(&self, user: UserId) -> Result<Option<Account>, IdentityError> {
        let stream = domain::identity::user(user);
        let aggregates = self.bus.load(&[stream]).await?;
        Ok(aggregates.get::<User>(stream).and_then(User::account).cloned())
    }

    /// The hash of a password that may be taken for the account of `email`.
    async fn new_password(
        &self,
        password: &SecretString,
        email: &Email,
    ) -> Result<PasswordHash, IdentityError> {
        let (breached, checked) = (Arc::clone(&self.breached), password.clone());
        let address = email.as_str().to_owned();
        let checking = move || passwords::check(&checked, &address, breached.as_ref());
        let checked = tokio::task::spawn_blocking(checking).await;
        checked.map_err(|_| PasswordsError::Failed)?.map_err(IdentityError::WeakPassword)?;
        Ok(self.passwords.hash(password.clone()).await?)
    }
}
