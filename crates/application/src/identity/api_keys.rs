//! API keys: how programs are let in on behalf of a user.
//!
//! A key is told once, when it is made or gets another secret, and kept by its digest only. The stream
//! of the key says what may be done with it and which of its secrets count.

mod authenticate;
mod remembered;
mod uses;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{
    API_KEY, ApiKey, CreateApiKey, Grant, IssuedKey, Rejection, RevokeApiKey, RotateApiKey, api_key,
};
use domain::ids::{ApiKeyId, UserId};
use domain::values::ApiKeyName;
use eventstore::Receipt;
use eventstore::answer::within;
use secrecy::SecretString;

use super::secrets::Secret;
use super::{Identity, IdentityError};
use crate::CommandError;
use crate::command::{Origin, written};
use crate::opaque_token::OpaqueToken;

pub use authenticate::AuthenticatedKey;
pub(super) use remembered::Remembered;

/// An API key that somebody wants.
#[derive(Debug)]
pub struct NewApiKey {
    /// On whose behalf it is to be used.
    pub user: UserId,
    /// What the user calls it.
    pub name: ApiKeyName,
    /// What may be done with it, as long as the user may.
    pub grants: BTreeSet<Grant>,
    /// When it shall be over.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Another secret that somebody wants for an API key.
#[derive(Debug, Clone, Copy)]
pub struct RotateKey {
    /// The key.
    pub key: ApiKeyId,
    /// Whose it must be.
    pub user: UserId,
    /// For how long those of before shall count, if they do so long.
    pub overlap: TimeDelta,
}

/// An API key that was made, or got another secret.
#[derive(Debug)]
pub struct GivenApiKey {
    /// Which one.
    pub id: ApiKeyId,
    /// What lets its user in; nothing if this was asked for before under the same name: it was told
    /// then, and is kept nowhere.
    pub secret: Option<SecretString>,
    /// What was recorded.
    pub receipt: Receipt,
}

/// An API key, as its owner sees it.
#[derive(Debug, Clone)]
pub struct ApiKeyShown {
    /// Which one.
    pub id: ApiKeyId,
    /// What the user calls it; nothing once it is erased.
    pub name: Option<String>,
    /// What may be done with it, as long as the user may.
    pub grants: BTreeSet<Grant>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it is over.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it got the last of its secrets, if that is not the first.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Until when a secret of before counts, if one does.
    pub previous_until: Option<DateTime<Utc>>,
    /// In which minute it was last used.
    pub used_at: Option<DateTime<Utc>>,
}

impl Identity {
    /// Makes an API key. That the user may do what it grants is for the asker to see to.
    ///
    /// # Errors
    /// [`IdentityError::TooManyApiKeys`]; the user is not active, or the key would be over already.
    pub async fn create_api_key(
        &self,
        origin: &Origin,
        asked: NewApiKey,
    ) -> Result<GivenApiKey, IdentityError> {
        let NewApiKey { user, name, grants, expires_at } = asked;
        let key = ApiKeyId::new(self.bus.ids.next());
        let token = OpaqueToken::of_api_key(key.get(), self.randomness.as_ref())?;
        let digest = token.digest();
        let asked = ("create-api-key", user, name.clone(), grants.clone(), expires_at);
        let create = CreateApiKey {
            key_id: key,
            user_id: user,
            name,
            grants,
            created_at: self.bus.clock.now(),
            expires_at,
        };
        let command = self.command(origin, &asked, vec![Box::new(create)])?;
        let secret = Secret::ApiKey { key, user, digest: &digest, expires_at };
        let receipt = self.execute(&command, &[secret]).await?;
        let id = written(&receipt, API_KEY).map_or(key, ApiKeyId::new);
        Ok(GivenApiKey { id, secret: told_once(&token, &receipt), receipt })
    }

    /// Gives an API key another secret, which counts at once.
    ///
    /// # Errors
    /// There is no such key of the user, it is over, or somebody else was faster.
    pub async fn rotate_api_key(
        &self,
        origin: &Origin,
        asked: RotateKey,
    ) -> Result<GivenApiKey, IdentityError> {
        let RotateKey { key, user, overlap } = asked;
        let asked = ("rotate-api-key", user, key, overlap.num_seconds());
        let issued = self.issued(user, key).await?;
        let issued = issued.ok_or_else(|| no_key(key))?;
        let token = OpaqueToken::of_api_key(key.get(), self.randomness.as_ref())?;
        let digest = token.digest();
        let now = self.bus.clock.now();
        let rotate = RotateApiKey {
            key_id: key,
            user_id: user,
            from: issued.number,
            rotated_at: now,
            previous_until: now + overlap,
        };
        let command = self.command(origin, &asked, vec![Box::new(rotate)])?;
        let secret = Secret::ApiKeyRotated {
            key,
            number: issued.number + 1,
            digest: &digest,
            first_kept: issued.first_kept(),
        };
        let receipt = self.execute(&command, &[secret]).await?;
        self.api_keys.forget(key);
        Ok(GivenApiKey { id: key, secret: told_once(&token, &receipt), receipt })
    }

    /// Ends an API key.
    ///
    /// # Errors
    /// There is no such key of the user.
    pub async fn revoke_api_key(
        &self,
        origin: &Origin,
        (user, key): (UserId, ApiKeyId),
    ) -> Result<Receipt, IdentityError> {
        let revoke = RevokeApiKey { key_id: key, user_id: user };
        let asked = ("revoke-api-key", user, key);
        let command = self.command(origin, &asked, vec![Box::new(revoke)])?;
        let receipt = self.execute(&command, &[Secret::ApiKeyGone { key }]).await?;
        // Others hear of it; this process need not wait for that.
        self.api_keys.forget(key);
        Ok(receipt)
    }

    /// The API keys of `user` that are not revoked, the newest first.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKeyShown>, IdentityError> {
        let rows = sqlx::query!(
            "SELECT key_id, used_at FROM identity.api_keys WHERE user_id = $1",
            user.get(),
        );
        let rows = within(rows.fetch_all(self.bus.store().pool())).await?;
        let key = |id| api_key(ApiKeyId::new(id));
        let streams: Vec<_> = rows.iter().map(|row| key(row.key_id)).collect();
        let known = self.bus.load(&streams).await?;
        let now = self.bus.clock.now();
        let shown = rows.into_iter().filter_map(|row| {
            let issued = known.get::<ApiKey>(key(row.key_id)).and_then(ApiKey::issued)?;
            (!issued.is_revoked).then(|| show(ApiKeyId::new(row.key_id), issued, row.used_at, now))
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort_by_key(|key| (std::cmp::Reverse(key.created_at), std::cmp::Reverse(key.id)));
        Ok(shown)
    }

    /// The API key `key` of `user`, unless it is revoked.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn api_key(
        &self,
        user: UserId,
        key: ApiKeyId,
    ) -> Result<Option<ApiKeyShown>, IdentityError> {
        let Some(issued) = self.issued(user, key).await? else { return Ok(None) };
        let used_at = sqlx::query_scalar!(
            "SELECT used_at FROM identity.api_keys WHERE key_id = $1",
            key.get()
        );
        let used_at = within(used_at.fetch_optional(self.bus.store().pool())).await?.flatten();
        Ok(Some(show(key, &issued, used_at, self.bus.clock.now())))
    }

    async fn issued(
        &self,
        user: UserId,
        key: ApiKeyId,
    ) -> Result<Option<IssuedKey>, IdentityError> {
        let known = self.bus.load(&[api_key(key)]).await?;
        let issued = known.get::<ApiKey>(api_key(key)).and_then(ApiKey::issued);
        Ok(issued.filter(|issued| issued.user_id == user && !issued.is_revoked).cloned())
    }
}

/// What is told of `token`, unless the command took effect before, with another one.
fn told_once(token: &OpaqueToken, receipt: &Receipt) -> Option<SecretString> {
    (!receipt.repeated).then(|| token.text().clone())
}

fn no_key(key: ApiKeyId) -> IdentityError {
    let rejection = domain::Rejection::from(Rejection::NoApiKey(key));
    IdentityError::Command(CommandError::Rejected(rejection.into()))
}

fn show(
    id: ApiKeyId,
    issued: &IssuedKey,
    used_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> ApiKeyShown {
    let ends = issued.replaced.iter().map(|secret| secret.until);
    ApiKeyShown {
        id,
        name: issued.name.value().map(ToString::to_string),
        grants: issued.grants.clone(),
        created_at: issued.created_at,
        expires_at: issued.expires_at,
        rotated_at: issued.rotated_at,
        previous_until: ends.filter(|until| now < *until).max(),
        used_at,
    }
}
