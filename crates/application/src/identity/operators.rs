//! What operators do with accounts and roles.

use std::collections::BTreeSet;

use domain::Decision;
use domain::identity::{
    DeactivateUser, DefineRole, Grant, GrantRole, RegisterUser, ReinstateUser, RemoveRole, Role,
    RoleName, SuspendUser, WithdrawRole, role,
};
use domain::ids::UserId;
use domain::values::{Email, PersonName};
use eventstore::{AppendError, Receipt};
use secrecy::SecretString;

use super::secrets::Secret;
use super::{Identity, IdentityError};
use crate::CommandError;
use crate::command::{Origin, written};

/// An account that somebody vouches for.
#[derive(Debug)]
pub struct NewAccount {
    /// The address, which needs no proof.
    pub email: Email,
    /// What people shall call the user.
    pub name: PersonName,
    /// The password.
    pub password: SecretString,
    /// What the user is granted; roles that there are not are made first.
    pub roles: Vec<(RoleName, BTreeSet<Grant>)>,
}

impl Identity {
    /// Opens an account whose address needs no proof, and grants it roles. A role that is there stays
    /// as it is.
    ///
    /// # Errors
    /// [`IdentityError::AddressTaken`]; [`IdentityError::WeakPassword`].
    pub async fn create_account(
        &self,
        origin: &Origin,
        asked: NewAccount,
    ) -> Result<UserId, IdentityError> {
        let NewAccount { email, name, password, roles } = asked;
        let hash = self.new_password(&password, &email).await?;
        let user_id = UserId::new(self.bus.ids.next());
        let asked = ("create-account", &email, &name);
        let registered_at = self.bus.clock.now();
        let mut decisions: Vec<Box<dyn Decision>> = vec![Box::new(RegisterUser {
            user_id,
            email: email.clone(),
            name: name.clone(),
            is_verified: true,
            registered_at,
        })];
        let streams: Vec<_> = roles.iter().map(|(name, _)| role(name)).collect();
        let known = self.bus.load(&streams).await?;
        for (name, grants) in roles {
            let there = known.get::<Role>(role(&name)).and_then(Role::grants);
            if there.is_none() {
                decisions.push(Box::new(DefineRole { role: name.clone(), grants }));
            }
            decisions.push(Box::new(GrantRole { user_id, role: name, seen: None }));
        }
        let command = self.command(origin, &asked, decisions)?;
        let secret = Secret::Password { user: user_id, hash: &hash };
        let receipt = self.execute(&command, &[secret]).await.map_err(|error| match error {
            IdentityError::Command(CommandError::Append(AppendError::ClaimTaken { .. })) => {
                IdentityError::AddressTaken
            }
            error => error,
        })?;
        let id = written(&receipt, domain::identity::USER);
        Ok(id.map_or(user_id, UserId::new))
    }

    /// Makes a role, or says anew what it grants.
    ///
    /// # Errors
    /// As [`CommandBus::execute`](crate::CommandBus::execute).
    pub async fn define_role(
        &self,
        origin: &Origin,
        role: RoleName,
        grants: BTreeSet<Grant>,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("define-role", role.clone(), grants.clone());
        self.operate(origin, &asked, Box::new(DefineRole { role, grants })).await
    }

    /// Takes a role away from everybody.
    ///
    /// # Errors
    /// There is none.
    pub async fn remove_role(
        &self,
        origin: &Origin,
        role: RoleName,
    ) -> Result<Receipt, IdentityError> {
        self.operate(origin, &("remove-role", role.clone()), Box::new(RemoveRole { role })).await
    }

    /// What the role `name` grants, if there is one, as the log has it now.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn role(&self, name: &RoleName) -> Result<Option<BTreeSet<Grant>>, IdentityError> {
        let known = self.bus.load(&[role(name)]).await?;
        Ok(known.get::<Role>(role(name)).and_then(Role::grants).cloned())
    }

    /// Grants a role to a user, if it grants what was `seen`.
    ///
    /// # Errors
    /// There is no such user or role, or the role was defined anew meanwhile.
    pub async fn grant_role(
        &self,
        origin: &Origin,
        user_id: UserId,
        (role, seen): (RoleName, BTreeSet<Grant>),
    ) -> Result<Receipt, IdentityError> {
        let asked = ("grant-role", user_id, role.clone());
        self.operate(origin, &asked, Box::new(GrantRole { user_id, role, seen: Some(seen) })).await
    }

    /// Takes a role from a user.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn withdraw_role(
        &self,
        origin: &Origin,
        user_id: UserId,
        role: RoleName,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("withdraw-role", user_id, role.clone());
        self.operate(origin, &asked, Box::new(WithdrawRole { user_id, role })).await
    }

    /// Keeps a user out until further notice; all sessions end.
    ///
    /// # Errors
    /// There is no such user, or the account is closed.
    pub async fn suspend(&self, origin: &Origin, user: UserId) -> Result<Receipt, IdentityError> {
        let suspend = SuspendUser { user_id: user };
        self.operate(origin, &("suspend", user), Box::new(suspend)).await
    }

    /// Lets a user in again.
    ///
    /// # Errors
    /// As [`Identity::suspend`].
    pub async fn reinstate(&self, origin: &Origin, user: UserId) -> Result<Receipt, IdentityError> {
        let reinstate = ReinstateUser { user_id: user };
        self.operate(origin, &("reinstate", user), Box::new(reinstate)).await
    }

    /// Closes an account for good.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn deactivate(
        &self,
        origin: &Origin,
        user: UserId,
    ) -> Result<Receipt, IdentityError> {
        let close = DeactivateUser { user_id: user };
        self.operate(origin, &("deactivate", user), Box::new(close)).await
    }

    async fn operate(
        &self,
        origin: &Origin,
        asked: &impl serde::Serialize,
        decision: Box<dyn Decision>,
    ) -> Result<Receipt, IdentityError> {
        let command = self.command(origin, asked, vec![decision])?;
        Ok(self.bus.execute(&command).await?)
    }
}
