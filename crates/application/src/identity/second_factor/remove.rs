//! A second factor is taken away.

use domain::identity::{DisableSecondFactor, DisabledBy};
use domain::ids::UserId;
use eventstore::Receipt;
use secrecy::SecretString;

use crate::command::Origin;
use crate::identity::secrets::Secret;
use crate::identity::{Identity, IdentityError};

impl Identity {
    /// Takes the second factor of `user` away, who knows the password and has a `code`.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]; [`IdentityError::CodeRefused`];
    /// [`Rejection::NoSecondFactor`](domain::identity::Rejection::NoSecondFactor).
    pub async fn disable_second_factor(
        &self,
        origin: &Origin,
        user: UserId,
        (password, code): (SecretString, SecretString),
    ) -> Result<Receipt, IdentityError> {
        let asked = ("disable-second-factor", user);
        if let Some(receipt) = self.repeated(origin, &asked).await? {
            return Ok(receipt);
        }
        let right = self.prove_both(user, password, &code).await?;
        let disable = DisableSecondFactor { user_id: user, by: DisabledBy::User };
        let decisions =
            super::enrol::used(user, right).into_iter().chain([Box::new(disable) as Box<_>]);
        let command = self.command(origin, &asked, decisions.collect())?;
        let secrets = [Secret::Code { user, right: &right }, Secret::NoSecondFactor { user }];
        let receipt = self.execute(&command, &secrets).await?;
        self.forgive_tries(user).await?;
        Ok(receipt)
    }

    /// Takes the second factor of `user` away, who has lost the device and the codes.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn remove_second_factor(
        &self,
        origin: &Origin,
        user: UserId,
    ) -> Result<Receipt, IdentityError> {
        let remove = DisableSecondFactor { user_id: user, by: DisabledBy::Operator };
        let asked = ("remove-second-factor", user);
        let command = self.command(origin, &asked, vec![Box::new(remove)])?;
        self.execute(&command, &[Secret::NoSecondFactor { user }]).await
    }
}
