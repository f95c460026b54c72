//! What users do with the identities by which they come in.

use chrono::{DateTime, Utc};
use domain::identity::{LinkExternalIdentity, NewLink, UnlinkExternalIdentity};
use domain::ids::UserId;
use domain::values::ProviderName;
use eventstore::{AppendError, Receipt};
use secrecy::SecretString;
use uuid::Uuid;

use super::state::{Expected, Proof};
use super::{BegunLogin, CompleteLogin};
use crate::CommandError;
use crate::command::Origin;
use crate::identity::secrets::Secret;
use crate::identity::{Identity, IdentityError};

/// An identity by which a user comes in; what is erased is not there.
#[derive(Debug, Clone)]
pub struct ExternalIdentityShown {
    /// What it is called here.
    pub id: Uuid,
    /// What the provider was called when it was linked.
    pub provider: Option<ProviderName>,
    /// Since when.
    pub linked_at: DateTime<Utc>,
}

/// Who wants to come in by another identity as well.
#[derive(Debug)]
pub struct LinkIdentity {
    /// The user.
    pub user: UserId,
    /// The password, of who has one.
    pub password: Option<SecretString>,
    /// Where the identity is.
    pub provider: ProviderName,
    /// Where the browser comes to afterwards.
    pub redirect_uri: String,
}

impl Identity {
    /// By which identities `user` comes in, the first linked first.
    ///
    /// # Errors
    /// The database cannot be reached, or keys of personal data are missing.
    pub async fn external_identities(
        &self,
        user: UserId,
    ) -> Result<Vec<ExternalIdentityShown>, IdentityError> {
        let account = self.account(user).await?;
        let linked = account.map(|account| account.external).unwrap_or_default();
        let shown = linked.into_iter().map(|linked| ExternalIdentityShown {
            id: linked.id,
            provider: linked.identity.value().map(|identity| identity.provider().clone()),
            linked_at: linked.linked_at,
        });
        Ok(shown.collect())
    }

    /// Begins to link an identity. Whoever has a password has to know it: who found a token could stay
    /// for ever otherwise.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]: the password is wrong, missing, or was wrong too often; otherwise
    /// as [`Identity::begin_external_login`].
    pub async fn begin_link(&self, asked: LinkIdentity) -> Result<BegunLogin, IdentityError> {
        let LinkIdentity { user, password, provider, redirect_uri } = asked;
        if self.password_of(user).await?.is_some() {
            self.prove(user, password.ok_or(IdentityError::NotLetIn)?).await?;
        }
        self.begin_external(&provider, &redirect_uri, Some(user)).await
    }

    /// Lets `user` come in by the identity that was logged in with.
    ///
    /// # Errors
    /// [`IdentityError::NotBegun`]: not by this user; [`IdentityError::IdentityTaken`]; otherwise as
    /// [`Identity::complete_external_login`].
    pub async fn complete_link(
        &self,
        origin: &Origin,
        user: UserId,
        asked: CompleteLogin,
    ) -> Result<Receipt, IdentityError> {
        let secrets = Proof::of(&asked.state, &asked.binding).secrets(self.bus.digests()?);
        let name = ("link-external-identity", user, secrets.state);
        if let Some(receipt) = self.repeated(origin, &name).await? {
            return Ok(receipt);
        }
        let expected = Expected { provider: None, user: Some(user) };
        let (begun, vouched) = self.vouched(asked, expected).await?;
        let (id, at) = (self.bus.ids.next(), self.bus.clock.now());
        let link = NewLink { id, identity: vouched.identity, at };
        let link = LinkExternalIdentity { user_id: user, link };
        let command = self.command(origin, &name, vec![Box::new(link)])?;
        let completed = Secret::ExternalLogin { state: &begun.state };
        self.execute(&command, &[completed]).await.map_err(|error| match error {
            IdentityError::Command(CommandError::Append(AppendError::ClaimTaken { .. })) => {
                IdentityError::IdentityTaken
            }
            IdentityError::InvalidToken => IdentityError::NotBegun,
            error => error,
        })
    }

    /// Lets `user` not come in any more by the identity that is called `id` here.
    ///
    /// # Errors
    /// There is none, or nothing else lets the user in.
    pub async fn unlink(
        &self,
        origin: &Origin,
        user: UserId,
        id: Uuid,
    ) -> Result<Receipt, IdentityError> {
        let unlink = UnlinkExternalIdentity { user_id: user, id };
        let asked = ("unlink-external-identity", user, id);
        let command = self.command(origin, &asked, vec![Box::new(unlink)])?;
        Ok(self.bus.execute(&command).await?)
    }
}
