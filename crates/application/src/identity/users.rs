//! Users, as who may see them does.

use std::collections::BTreeSet;

use domain::identity::{RoleName, SecondFactor, Standing};
use domain::ids::UserId;
use domain::values::{Email, Personal};

use super::{Identity, IdentityError};

/// A user; what is erased is not there.
#[derive(Debug, Clone)]
pub struct UserShown {
    /// The user.
    pub id: UserId,
    /// The address.
    pub email: Option<String>,
    /// Whether it is proved.
    pub is_verified: bool,
    /// The address that is wanted instead.
    pub wanted: Option<String>,
    /// What people call the user.
    pub name: Option<String>,
    /// Whether the user may come in.
    pub standing: Standing,
    /// What the user is granted.
    pub roles: BTreeSet<RoleName>,
    /// What the user proves to be the one by besides the password.
    pub second_factor: Option<SecondFactor>,
}

impl Identity {
    /// The user `id`, if there is one.
    ///
    /// # Errors
    /// The database cannot be reached, or keys of personal data are missing.
    pub async fn user(&self, id: UserId) -> Result<Option<UserShown>, IdentityError> {
        let email = |email: &Personal<Email>| email.value().map(|email| email.as_str().to_owned());
        Ok(self.account(id).await?.map(|account| UserShown {
            id,
            email: email(&account.email),
            is_verified: account.is_verified,
            wanted: account.wanted.as_ref().and_then(email),
            name: account.name.value().map(ToString::to_string),
            standing: account.standing,
            roles: account.roles,
            second_factor: account.second_factor,
        }))
    }

    /// The user who has `email`, if anybody.
    ///
    /// # Errors
    /// As [`Identity::user`].
    pub async fn user_with(&self, email: &Email) -> Result<Option<UserShown>, IdentityError> {
        match self.find(email).await? {
            Some(id) => self.user(id).await,
            None => Ok(None),
        }
    }
}
