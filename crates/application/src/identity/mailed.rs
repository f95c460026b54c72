//! What is proved by having received mail.
//!
//! A message says that something is to be mailed, and to whom; the token is made when the mail is, so no
//! event and no message ever holds one.

use chrono::TimeDelta;
use domain::Event;
use domain::identity::{
    IdentityEvent, RecordPassword, RequestPasswordReset, RequestVerification, Standing, VerifyEmail,
};
use domain::ids::UserId;
use domain::values::{Email, Personal};
use eventstore::answer::within;
use eventstore::{AppendError, EventId, PersonalError, Receipt};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use super::secrets::Secret;
use super::{Identity, IdentityError};
use crate::command::Origin;
use crate::opaque_token::{OpaqueToken, TokenDigest, TokenKind};
use crate::ports::Recipient;
use crate::{CommandError, codec};

/// What a token was mailed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To prove an address.
    VerifyEmail,
    /// To choose another password.
    ResetPassword,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
        }
    }

    const fn kind(self) -> TokenKind {
        match self {
            Self::VerifyEmail => TokenKind::EmailVerification,
            Self::ResetPassword => TokenKind::PasswordReset,
        }
    }
}

/// Most tokens of one purpose that are valid of one user: who asks more often gets no more mail.
const MOST: i64 = 5;

/// What is to be mailed to a user.
#[derive(Debug)]
pub struct Mailed {
    /// Where to.
    pub to: Recipient,
    /// What proves that it was received.
    pub token: SecretString,
    /// For how long.
    pub valid: TimeDelta,
    /// Whether the address is one that the user wants instead of another.
    pub is_wanted: bool,
}

/// A token that was mailed.
struct Given {
    user: UserId,
    digest: TokenDigest,
    /// Of the address it was mailed to.
    address: Vec<u8>,
}

impl Identity {
    /// Mails once more what proves the address of the account of `email`, if there is one.
    ///
    /// Answers at once, and does what is to be done afterwards: how long it takes tells nothing.
    pub fn request_verification(&self, origin: Origin, email: Email) {
        self.later(origin, email, |user_id| Box::new(RequestVerification { user_id }));
    }

    /// Mails what lets choose another password to the owner of `email`, if there is an account.
    ///
    /// Answers at once, like [`Identity::request_verification`].
    pub fn request_password_reset(&self, origin: Origin, email: Email) {
        self.later(origin, email, |user_id| Box::new(RequestPasswordReset { user_id }));
    }

    fn later(&self, origin: Origin, email: Email, decide: fn(UserId) -> Box<dyn domain::Decision>) {
        let identity = self.clone();
        tokio::spawn(async move {
            let asked = async {
                let Some(user) = identity.find(&email).await? else { return Ok(()) };
                let decision = decide(user);
                let name = decision.name();
                let command = identity.command(&origin, &(name, user), vec![decision])?;
                identity.bus.execute(&command).await?;
                Ok::<_, IdentityError>(())
            };
            match asked.await {
                // It may be told by the domain that nothing is to be mailed.
                Ok(()) | Err(IdentityError::Command(CommandError::Rejected(_))) => {}
                Err(error) => tracing::warn!(error = %error, "mail that was asked for is not sent"),
            }
        });
    }

    /// Takes the address as proved that `token` was mailed to.
    ///
    /// # Errors
    /// [`IdentityError::InvalidToken`]; [`IdentityError::AddressTaken`]: somebody was faster.
    pub async fn verify_email(
        &self,
        origin: &Origin,
        token: &SecretString,
    ) -> Result<Receipt, IdentityError> {
        let digest = read(Purpose::VerifyEmail, token)?;
        let asked = ("verify-email", digest.as_bytes());
        if let Some(receipt) = self.repeated(origin, &asked).await? {
            return Ok(receipt);
        }
        let given = self.given(Purpose::VerifyEmail, digest).await?;
        let email = self.address_of(&given).await?.ok_or(IdentityError::InvalidToken)?;
        let verify = VerifyEmail { user_id: given.user, email };
        let command = self.command(origin, &asked, vec![Box::new(verify)])?;
        let used = Secret::Used { digest: &given.digest };
        self.execute(&command, &[used]).await.map_err(|error| match error {
            IdentityError::Command(CommandError::Append(AppendError::ClaimTaken { .. })) => {
                IdentityError::AddressTaken
            }
            error => error,
        })
    }

    /// Gives the user another password to whom `token` was mailed; all sessions end.
    ///
    /// # Errors
    /// [`IdentityError::InvalidToken`]; [`IdentityError::WeakPassword`].
    pub async fn reset_password(
        &self,
        origin: &Origin,
        token: &SecretString,
        password: &SecretString,
    ) -> Result<Receipt, IdentityError> {
        let digest = read(Purpose::ResetPassword, token)?;
        let asked = ("reset-password", digest.as_bytes());
        if let Some(receipt) = self.repeated(origin, &asked).await? {
            return Ok(receipt);
        }
        let given = self.given(Purpose::ResetPassword, digest).await?;
        let user = given.user;
        let account = self.account(user).await?.ok_or(IdentityError::InvalidToken)?;
        let email = account.email.value().ok_or(IdentityError::InvalidToken)?;
        if self.digest_of(email)?[..] != given.address[..] {
            // It was mailed to an address that the user has no more.
            return Err(IdentityError::InvalidToken);
        }
        let hash = self.new_password(password, email).await?;
        let record = RecordPassword { user_id: user, keep: None, proves_address: true };
        let command = self.command(origin, &asked, vec![Box::new(record)])?;
        let secrets =
            [Secret::Used { digest: &given.digest }, Secret::Password { user, hash: &hash }];
        let receipt = self.execute(&command, &secrets).await?;
        if let Err(error) = self.unlock_password(user).await {
            // The password is another all the same.
            tracing::warn!(error = %error, "who was locked out has to wait although the password is new");
        }
        Ok(receipt)
    }

    /// Makes a token to be mailed to `user`, which is known once the transaction of `connection`
    /// commits; nothing if there is nothing to prove, or nobody any more.
    ///
    /// # Errors
    /// The database cannot be reached, or there is no randomness.
    pub async fn to_be_mailed(
        &self,
        connection: &mut PgConnection,
        user: UserId,
        purpose: Purpose,
    ) -> Result<Option<Mailed>, IdentityError> {
        let Some(account) = self.account(user).await? else { return Ok(None) };
        let is_wanted = purpose == Purpose::VerifyEmail && account.wanted.is_some();
        let email = match purpose {
            Purpose::VerifyEmail if is_wanted => account.wanted.as_ref(),
            Purpose::VerifyEmail if account.is_verified => None,
            Purpose::VerifyEmail | Purpose::ResetPassword => Some(&account.email),
        };
        let email = email.filter(|_| account.standing == Standing::Active);
        let Some(email) = email.and_then(Personal::value) else { return Ok(None) };
        let valid = match purpose {
            Purpose::VerifyEmail => self.lifetimes.verification,
            Purpose::ResetPassword => self.lifetimes.password_reset,
        };
        let token = OpaqueToken::new(purpose.kind(), self.randomness.as_ref())?;
        let (digest, address) = (token.digest(), self.digest_of(email)?);
        let now = self.bus.clock.now();
        let kept = sqlx::query!(
            "
            INSERT INTO identity.mailed_tokens (digest, user_id, purpose, address, expires_at)
            SELECT $1, $2, $3, $4, $5
            WHERE (
                SELECT count(*) FROM identity.mailed_tokens
                WHERE user_id = $2 AND purpose = $3 AND expires_at > $6
            ) < $7
            ",
            digest.as_bytes(),
            user.get(),
            purpose.as_str(),
            &address[..],
            now + valid,
            now,
            MOST,
        );
        if within(kept.execute(connection)).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let name = (account.is_verified && !is_wanted).then(|| account.name.value());
        let name = name.flatten().map(ToString::to_string);
        let to = Recipient { address: email.as_str().to_owned(), name };
        Ok(Some(Mailed { to, token: token.text().clone(), valid, is_wanted }))
    }

    /// Where mail to `user` goes; nowhere if nobody is there any more.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn recipient(&self, user: UserId) -> Result<Option<Recipient>, IdentityError> {
        let Some(account) = self.account(user).await? else { return Ok(None) };
        let Some(email) = account.email.value() else { return Ok(None) };
        let name = account.name.value().filter(|_| account.is_verified);
        let name = name.map(ToString::to_string);
        Ok(Some(Recipient { address: email.as_str().to_owned(), name }))
    }

    /// Where mail goes to the address that a user had until the event `id`, which says that it is
    /// another one now; nowhere if nobody is there any more. It may be somebody else's by now, so no
    /// name goes with it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn previous_recipient(&self, id: Uuid) -> Result<Option<Recipient>, IdentityError> {
        let recorded = within(self.bus.store().event(EventId::new(id))).await?;
        let Some(recorded) = recorded else { return Ok(None) };
        let events = self.second_factors.keyring.open_events([&recorded], codec::open).await;
        let events = events.map_err(|error| match error {
            PersonalError::Keyring(error) => IdentityError::Keyring(error),
            PersonalError::Codec(error) => CommandError::Encode(error.into()).into(),
        })?;
        let previous = events.into_iter().flatten().find_map(|event| match event {
            Event::Identity(IdentityEvent::EmailChanged(changed)) => Some(changed.previous),
            _ => None,
        });
        let email = previous.as_ref().and_then(Personal::value);
        let address = email.map(|email| email.as_str().to_owned());
        Ok(address.map(|address| Recipient { address, name: None }))
    }

    async fn given(&self, purpose: Purpose, digest: TokenDigest) -> Result<Given, IdentityError> {
        let given = sqlx::query!(
            "
            SELECT user_id, address FROM identity.mailed_tokens
            WHERE digest = $1 AND purpose = $2 AND expires_at > $3
            ",
            digest.as_bytes(),
            purpose.as_str(),
            self.bus.clock.now(),
        );
        let given = within(given.fetch_optional(self.bus.store().pool())).await?;
        let row = given.ok_or(IdentityError::InvalidToken)?;
        Ok(Given { user: UserId::new(row.user_id), digest, address: row.address })
    }

    /// Which of the user's addresses the token was mailed to.
    async fn address_of(&self, given: &Given) -> Result<Option<Email>, IdentityError> {
        let Some(account) = self.account(given.user).await? else { return Ok(None) };
        for email in [account.wanted.as_ref(), Some(&account.email)].into_iter().flatten() {
            let Some(email) = email.value() else { continue };
            if self.digest_of(email)?[..] == given.address[..] {
                return Ok(Some(email.clone()));
            }
        }
        Ok(None)
    }
}

/// By what `token` is known, if it looks like one.
fn read(purpose: Purpose, token: &SecretString) -> Result<TokenDigest, IdentityError> {
    TokenDigest::of(purpose.kind(), token).map_err(|_| IdentityError::InvalidToken)
}
