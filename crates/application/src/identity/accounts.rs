//! What people do with their own accounts.

use domain::identity::{
    ChangeProfile, DeactivateUser, RecordPassword, RegisterUser, RepeatRegistration,
};
use domain::ids::{SessionId, UserId};
use domain::values::{Email, PersonName};
use eventstore::{AppendError, Receipt};
use secrecy::SecretString;

use super::failures::Targets;
use super::secrets::Secret;
use super::{Identity, IdentityError};
use crate::CommandError;
use crate::command::Origin;
use crate::ports::passwords::Verified;

/// Who wants an account.
#[derive(Debug)]
pub struct Register {
    /// The address.
    pub email: Email,
    /// What people shall call the user.
    pub name: PersonName,
    /// The password.
    pub password: SecretString,
}

/// Another password for who knows the one there is.
#[derive(Debug)]
pub struct ChangePassword {
    /// The user.
    pub user: UserId,
    /// The session that goes on.
    pub session: SessionId,
    /// The password until now.
    pub current: SecretString,
    /// The one from now on.
    pub new: SecretString,
}

/// Another address for who knows the password.
#[derive(Debug)]
pub struct ChangeEmail {
    /// The user.
    pub user: UserId,
    /// The password.
    pub password: SecretString,
    /// The address.
    pub email: Email,
}

impl Identity {
    /// Opens an account, whose address is to be proved; or, if the address has one already, lets its
    /// owner know. Who asks is told the same, after the same work.
    ///
    /// It goes by no name of the client's: whether a second command of that name is refused would tell
    /// what the first one did.
    ///
    /// # Errors
    /// [`IdentityError::WeakPassword`]; [`IdentityError::Busy`].
    pub async fn register(&self, origin: &Origin, asked: Register) -> Result<(), IdentityError> {
        let Register { email, name, password } = asked;
        let hash = self.new_password(&password, &email).await?;
        let origin = &Origin { idempotency_key: None, ..origin.clone() };
        if let Some(owner) = self.find(&email).await? {
            return self.repeat_registration(origin, owner).await;
        }
        let user_id = UserId::new(self.bus.ids.next());
        let asked = ("register", &email, &name);
        let register = RegisterUser {
            user_id,
            email: email.clone(),
            name: name.clone(),
            is_verified: false,
            registered_at: self.bus.clock.now(),
        };
        let command = self.command(origin, &asked, vec![Box::new(register)])?;
        let secret = Secret::Password { user: user_id, hash: &hash };
        match self.execute(&command, &[secret]).await {
            Ok(_) => Ok(()),
            Err(IdentityError::Command(CommandError::Append(AppendError::ClaimTaken {
                ..
            }))) => {
                // Somebody was faster.
                match self.find(&email).await? {
                    Some(owner) => self.repeat_registration(origin, owner).await,
                    None => Ok(()),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn repeat_registration(
        &self,
        origin: &Origin,
        owner: UserId,
    ) -> Result<(), IdentityError> {
        let repeat = RepeatRegistration { user_id: owner };
        let command = self.command(origin, &("register", owner), vec![Box::new(repeat)])?;
        match self.bus.execute(&command).await {
            // So many ask at once that the owner hears of it anyway; who asks must not.
            Ok(_) | Err(CommandError::Contended { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the user another name.
    ///
    /// # Errors
    /// As [`CommandBus::execute`](crate::CommandBus::execute).
    pub async fn change_profile(
        &self,
        origin: &Origin,
        user: UserId,
        name: PersonName,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("change-profile", user, &name);
        let change = ChangeProfile { user_id: user, name: name.clone() };
        let command = self.command(origin, &asked, vec![Box::new(change)])?;
        Ok(self.bus.execute(&command).await?)
    }

    /// Asks for another address, which is to be proved.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]: the password is wrong, or was so too often.
    pub async fn change_email(
        &self,
        origin: &Origin,
        asked: ChangeEmail,
    ) -> Result<Receipt, IdentityError> {
        let ChangeEmail { user, password, email } = asked;
        self.prove(user, password).await?;
        let asked = ("change-email", user, &email);
        let change = domain::identity::ChangeEmail { user_id: user, email: email.clone() };
        let command = self.command(origin, &asked, vec![Box::new(change)])?;
        Ok(self.bus.execute(&command).await?)
    }

    /// Gives the user another password; all other sessions end.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]: the current one is wrong, or was so too often.
    /// [`IdentityError::WeakPassword`].
    pub async fn change_password(
        &self,
        origin: &Origin,
        asked: ChangePassword,
    ) -> Result<Receipt, IdentityError> {
        let ChangePassword { user, session, current, new } = asked;
        // A password is no part of the fingerprint: the same name is the same command.
        let asked = ("change-password", user, session);
        if let Some(receipt) = self.repeated(origin, &asked).await? {
            return Ok(receipt);
        }
        let email = self.prove(user, current).await?;
        let hash = self.new_password(&new, &email).await?;
        let record = RecordPassword { user_id: user, keep: Some(session), proves_address: false };
        let command = self.command(origin, &asked, vec![Box::new(record)])?;
        self.execute(&command, &[Secret::Password { user, hash: &hash }]).await
    }

    /// Closes the account of `user`, who knows the password.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]: it is wrong, or was so too often.
    pub async fn close_account(
        &self,
        origin: &Origin,
        user: UserId,
        password: SecretString,
    ) -> Result<Receipt, IdentityError> {
        self.prove(user, password).await?;
        let close = DeactivateUser { user_id: user };
        let command = self.command(origin, &("close-account", user), vec![Box::new(close)])?;
        Ok(self.bus.execute(&command).await?)
    }

    /// The address of `user`, if `password` is the right one.
    pub(super) async fn prove(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<Email, IdentityError> {
        let account = self.account(user).await?.ok_or(IdentityError::NotLetIn)?;
        let email = account.email.value().cloned().ok_or(IdentityError::NotLetIn)?;
        let pool = self.bus.store().pool();
        let targets = Targets::of(self.bus.digests()?, &email, None);
        let hash = self.password_of(user).await?.ok_or(IdentityError::NotLetIn)?;
        if targets.wait(pool).await? {
            return Err(IdentityError::NotLetIn);
        }
        match self.passwords.verify(password, &hash).await? {
            Verified::Right { .. } => Ok(email),
            Verified::Wrong => {
                targets.count(pool).await?;
                Err(IdentityError::NotLetIn)
            }
        }
    }

    /// Lets who was locked out try again.
    ///
    /// # Errors
    /// The user does not exist, or the database cannot be reached.
    pub async fn unlock(&self, user: UserId) -> Result<(), IdentityError> {
        let account = self.account(user).await?;
        if let Some(email) = account.as_ref().and_then(|account| account.email.value()) {
            let targets = Targets::of(self.bus.digests()?, email, None);
            targets.forgive(self.bus.store().pool()).await?;
        }
        Ok(())
    }
}
