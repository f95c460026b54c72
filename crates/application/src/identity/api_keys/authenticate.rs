//! Who asks, by an API key.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::identity::{ApiKey, Grant, IssuedKey, RoleName, User, api_key, user};
use domain::ids::{ApiKeyId, UserId};
use eventstore::answer::within;

use super::remembered::{KnownKey, Verdict};
use crate::access::Access;
use crate::identity::{Identity, IdentityError, NotAuthenticated};
use crate::opaque_token::TokenDigest;

/// A program that is let in.
#[derive(Debug, Clone)]
pub struct AuthenticatedKey {
    /// By which key.
    pub key: ApiKeyId,
    /// On whose behalf.
    pub user: UserId,
    /// What the user is granted.
    pub roles: Vec<RoleName>,
    /// What may be done with the key, as long as the user may.
    pub grants: Arc<BTreeSet<Grant>>,
}

impl Identity {
    /// Who has the API key `text`. Asks no table for one that was let in before, as long as the log is
    /// heard of and nothing has happened to the key or its owner; what is refused may cost a query.
    ///
    /// # Errors
    /// [`NotAuthenticated::ApiKey`]: it is none, or may not be used any more. Others as the enum says.
    pub async fn authenticate_key(
        &self,
        text: &str,
        access: &Access,
    ) -> Result<AuthenticatedKey, NotAuthenticated> {
        let (id, digest) = TokenDigest::of_api_key(text).ok_or(NotAuthenticated::ApiKey)?;
        let id = ApiKeyId::new(id);
        let now = self.bus.clock.now();
        if let Some(known) = self.remembered(id, access).await? {
            match known.judge(&digest, now) {
                Verdict::LetIn => return Ok(self.let_in(&known)),
                Verdict::Refused => return Err(NotAuthenticated::ApiKey),
                Verdict::Unknown => {}
            }
        }
        let Some(known) = self.read_key(id).await? else {
            self.api_keys.forget(id);
            return Err(NotAuthenticated::ApiKey);
        };
        let known = Arc::new(known);
        self.api_keys.insert(Arc::clone(&known));
        // What roles grant is known as far as the log was when the key was read.
        access.holds(&known.bearer()).await?;
        match known.judge(&digest, now) {
            Verdict::LetIn => Ok(self.let_in(&known)),
            Verdict::Refused | Verdict::Unknown => Err(NotAuthenticated::ApiKey),
        }
    }

    fn let_in(&self, known: &KnownKey) -> AuthenticatedKey {
        self.api_keys.note_use(known.id, self.bus.clock.now());
        AuthenticatedKey {
            key: known.id,
            user: known.issued.user_id,
            roles: known.roles.iter().cloned().collect(),
            grants: Arc::clone(&known.grants),
        }
    }

    /// The key `id` as it is remembered, if that still holds.
    async fn remembered(
        &self,
        id: ApiKeyId,
        access: &Access,
    ) -> Result<Option<Arc<KnownKey>>, NotAuthenticated> {
        let Some(known) = self.api_keys.get(id) else { return Ok(None) };
        let over = known.read_at + self.lifetimes.access_token;
        let is_young = (known.read_at..over).contains(&self.bus.clock.now());
        let holds = is_young && self.keys.keyring().holds(known.mark);
        Ok((holds && access.holds(&known.bearer()).await?).then_some(known))
    }

    async fn read_key(&self, id: ApiKeyId) -> Result<Option<KnownKey>, IdentityError> {
        let store = self.bus.store();
        let rows = sqlx::query!(
            "
            SELECT key.user_id, secret.number, secret.digest
            FROM identity.api_keys AS key
            JOIN identity.api_key_secrets AS secret USING (key_id)
            WHERE key_id = $1
            ",
            id.get(),
        );
        // Before anything is looked at: whatever happens from here on makes it stale.
        let (mark, read_at) = (self.keys.keyring().mark(), self.bus.clock.now());
        let position = store.head().await?;
        let rows = within(rows.fetch_all(store.pool())).await?;
        let Some(owner) = rows.first().map(|row| UserId::new(row.user_id)) else {
            return Ok(None);
        };
        let secrets = rows.into_iter().filter_map(|row| {
            let digest: [u8; 32] = row.digest.try_into().ok()?;
            Some((row.number.try_into().ok()?, TokenDigest::new(digest)))
        });
        let secrets = secrets.collect();
        let aggregates = self.bus.load(&[user(owner), api_key(id)]).await?;
        let account = aggregates.get::<User>(user(owner)).and_then(User::account);
        let issued = aggregates.get::<ApiKey>(api_key(id)).and_then(ApiKey::issued);
        let (Some(account), Some(issued)) = (account, issued.cloned()) else { return Ok(None) };
        // Whoever is erased is nobody any more.
        let goes_on = account.email.value().is_some() && issued.goes_on(account, read_at);
        let (name, roles) = (issued.name.clone().closed(), account.roles.clone());
        let grants = Arc::new(issued.grants.clone());
        let issued = IssuedKey { name, ..issued };
        Ok(Some(KnownKey { id, issued, goes_on, roles, grants, secrets, position, mark, read_at }))
    }
}
