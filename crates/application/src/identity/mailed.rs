//! What is proved by having received mail.
//!
//! A message says that something is to be mailed, and to whom; the token is made when the mail is, so no
//! event and no message ever holds one.

use domain::identity::{RecordPassword, RequestPasswordReset, RequestVerification, VerifyEmail};
use domain::ids::UserId;
use domain::values::{Email, Personal};
use eventstore::answer::within;
use eventstore::{AppendError, Receipt};
use secrecy::SecretString;
use sqlx::PgConnection;

use super::secrets::Secret;
use super::{Identity, IdentityError};
use crate::CommandError;
use crate::command::Origin;
use crate::opaque_token::{OpaqueToken, TokenDigest, TokenKind};

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

/// What is to be mailed to a user.
#[derive(Debug)]
pub struct Mailed {
    /// Where to.
    pub email: Email,
    /// What people call the user.
    pub name: String,
    /// What proves that it was received.
    pub token: SecretString,
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
        let given = self.given(Purpose::VerifyEmail, token).await?;
        let email = self.address_of(&given).await?.ok_or(IdentityError::InvalidToken)?;
        let verify = VerifyEmail { user_id: given.user, email };
        let asked = ("verify-email", given.digest.as_bytes());
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
        let given = self.given(Purpose::ResetPassword, token).await?;
        let user = given.user;
        let account = self.account(user).await?.ok_or(IdentityError::InvalidToken)?;
        let email = account.email.value().ok_or(IdentityError::InvalidToken)?;
        if self.digest_of(email)?[..] != given.address[..] {
            // It was mailed to an address that the user has no more.
            return Err(IdentityError::InvalidToken);
        }
        let hash = self.new_password(password, email).await?;
        let record = RecordPassword { user_id: user, keep: None, proves_address: true };
        let asked = ("reset-password", given.digest.as_bytes());
        let command = self.command(origin, &asked, vec![Box::new(record)])?;
        let secrets =
            [Secret::Used { digest: &given.digest }, Secret::Password { user, hash: &hash }];
        let receipt = self.execute(&command, &secrets).await?;
        self.unlock(user).await?;
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
        let email = match purpose {
            Purpose::VerifyEmail if account.wanted.is_some() => account.wanted.as_ref(),
            Purpose::VerifyEmail if account.is_verified => None,
            Purpose::VerifyEmail | Purpose::ResetPassword => Some(&account.email),
        };
        let (Some(email), Some(name)) = (email.and_then(Personal::value), account.name.value())
        else {
            return Ok(None);
        };
        let token = OpaqueToken::new(purpose.kind(), self.randomness.as_ref())?;
        let lifetime = match purpose {
            Purpose::VerifyEmail => self.lifetimes.verification,
            Purpose::ResetPassword => self.lifetimes.password_reset,
        };
        let (digest, address) = (token.digest(), self.digest_of(email)?);
        let kept = sqlx::query!(
            "
            INSERT INTO identity.mailed_tokens (digest, user_id, purpose, address, expires_at)
            VALUES ($1, $2, $3, $4, $5)
            ",
            digest.as_bytes(),
            user.get(),
            purpose.as_str(),
            &address[..],
            self.bus.clock.now() + lifetime,
        );
        within(kept.execute(connection)).await?;
        let (email, name) = (email.clone(), name.to_string());
        Ok(Some(Mailed { email, name, token: token.text().clone() }))
    }

    async fn given(&self, purpose: Purpose, token: &SecretString) -> Result<Given, IdentityError> {
        let digest = TokenDigest::of(purpose.kind(), token);
        let digest = digest.map_err(|_| IdentityError::InvalidToken)?;
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
