//! Users, as who may see them does.

use std::collections::{BTreeMap, BTreeSet};

use domain::identity::{Account, RoleName, SecondFactor, Standing, User};
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
        Ok(self.account(id).await?.map(|account| show(id, account)))
    }

    /// Those of `ids` that there are.
    ///
    /// # Errors
    /// As [`Identity::user`].
    pub async fn users(
        &self,
        ids: &[UserId],
    ) -> Result<BTreeMap<UserId, UserShown>, IdentityError> {
        let streams: Vec<_> = ids.iter().copied().map(domain::identity::user).collect();
        let known = self.bus.load(&streams).await?;
        let shown = ids.iter().zip(streams).filter_map(|(id, stream)| {
            let account = known.get::<User>(stream).and_then(User::account)?;
            Some((*id, show(*id, account.clone())))
        });
        Ok(shown.collect())
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

fn show(id: UserId, account: Account) -> UserShown {
    let email = |email: &Personal<Email>| email.value().map(|email| email.as_str().to_owned());
    UserShown {
        id,
        email: email(&account.email),
        is_verified: account.is_verified,
        wanted: account.wanted.as_ref().and_then(email),
        name: account.name.value().map(ToString::to_string),
        standing: account.standing,
        roles: account.roles,
        second_factor: account.second_factor,
    }
}
