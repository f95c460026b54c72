//! The API key aggregate: what a program may do on behalf of a user, and for how long.
//!
//! A key has one secret after the other, which are counted: the domain knows which of them count, and
//! nobody can learn from what it knows what one is.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Account, ApiKeyCreated, ApiKeyRevoked, ApiKeyRotated, Grant, IdentityEvent, Rejection,
    Standing, User,
};
use crate::ids::{ApiKeyId, UserId};
use crate::values::{ApiKeyName, Personal};
use crate::{Aggregate, Aggregates, Decider, Event, Stream};

/// Most secrets of a key that count at a time: whoever rotates more often loses the oldest.
pub const MOST_SECRETS: usize = 5;

/// An API key, once it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(Option<IssuedKey>);

/// What is known of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedKey {
    /// On whose behalf it is used.
    pub user_id: UserId,
    /// What the user calls it.
    pub name: Personal<ApiKeyName>,
    /// What may be done with it, as long as the user may.
    pub grants: BTreeSet<Grant>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it is over, whatever happens.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which of its secrets is the last one.
    pub number: u32,
    /// When that replaced the one before.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Those before it that may still count.
    pub replaced: Vec<ReplacedSecret>,
    /// Whether it is over, and was ended.
    pub is_revoked: bool,
}

/// A secret that another one has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplacedSecret {
    /// Which one.
    pub number: u32,
    /// Until when it counts.
    pub until: DateTime<Utc>,
}

/// Make an API key.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// The id the key shall have.
    pub key_id: ApiKeyId,
    /// On whose behalf it is to be used.
    pub user_id: UserId,
    /// What the user calls it.
    pub name: ApiKeyName,
    /// What may be done with it. That the user may is for the asker to see to.
    pub grants: BTreeSet<Grant>,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// When it shall be over.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Have another secret for an API key.
#[derive(Debug, Clone, Copy)]
pub struct RotateApiKey {
    /// The key.
    pub key_id: ApiKeyId,
    /// Whose it must be.
    pub user_id: UserId,
    /// Which secret must be the last one.
    pub from: u32,
    /// Now.
    pub rotated_at: DateTime<Utc>,
    /// Until when the secrets of before shall count, if they do so long.
    pub previous_until: DateTime<Utc>,
}

/// End an API key.
#[derive(Debug, Clone, Copy)]
pub struct RevokeApiKey {
    /// The key.
    pub key_id: ApiKeyId,
    /// Whose it must be.
    pub user_id: UserId,
}

impl ApiKey {
    /// What is known of it, if it was made.
    #[must_use]
    pub const fn issued(&self) -> Option<&IssuedKey> {
        self.0.as_ref()
    }

    /// The key `key_id` of `user_id`, which is not revoked.
    ///
    /// # Errors
    /// There is none.
    fn find(
        aggregates: &Aggregates,
        key_id: ApiKeyId,
        user_id: UserId,
    ) -> Result<&IssuedKey, Rejection> {
        let issued = Self::find_any(aggregates, key_id, user_id)?;
        if issued.is_revoked { Err(Rejection::NoApiKey(key_id)) } else { Ok(issued) }
    }

    fn find_any(
        aggregates: &Aggregates,
        key_id: ApiKeyId,
        user_id: UserId,
    ) -> Result<&IssuedKey, Rejection> {
        let key: Option<&Self> = aggregates.get(super::api_key(key_id));
        let issued = key.and_then(Self::issued).filter(|issued| issued.user_id == user_id);
        issued.ok_or(Rejection::NoApiKey(key_id))
    }
}

impl IssuedKey {
    /// Whether it may be used at `now`, by the user who has `account`.
    #[must_use]
    pub fn goes_on(&self, account: &Account, now: DateTime<Utc>) -> bool {
        !self.is_revoked && account.standing == Standing::Active && !self.is_over(now)
    }

    /// Whether it is over at `now` because of its age.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether its secret `number` counts at `now`.
    #[must_use]
    pub fn takes(&self, number: u32, now: DateTime<Utc>) -> bool {
        let mut replaced = self.replaced.iter();
        number == self.number
            || replaced.any(|secret| secret.number == number && now < secret.until)
    }

    /// The first of its secrets that may still count once another one has replaced the last.
    #[must_use]
    pub fn first_kept(&self) -> u32 {
        (self.number + 2).saturating_sub(u32::try_from(MOST_SECRETS).unwrap_or(u32::MAX)).max(1)
    }

    fn rotated(mut self, rotated: &ApiKeyRotated) -> Self {
        self.replaced.push(ReplacedSecret { number: self.number, until: rotated.previous_until });
        let first = self.first_kept();
        for secret in &mut self.replaced {
            secret.until = secret.until.min(rotated.previous_until);
        }
        let counts =
            |secret: &ReplacedSecret| secret.number >= first && secret.until > rotated.rotated_at;
        self.replaced.retain(counts);
        self.number = rotated.number;
        self.rotated_at = Some(rotated.rotated_at);
        self
    }
}

impl Aggregate for ApiKey {
    const CATEGORY: &'static str = super::API_KEY;

    fn evolve(self, event: &Event) -> Self {
        let Event::Identity(event) = event else { return self };
        let issued = match event {
            IdentityEvent::ApiKeyCreated(created) => Some(IssuedKey {
                user_id: created.user_id,
                name: created.name.clone(),
                grants: created.grants.clone(),
                created_at: created.created_at,
                expires_at: created.expires_at,
                number: 1,
                rotated_at: None,
                replaced: Vec::new(),
                is_revoked: false,
            }),
            IdentityEvent::ApiKeyRotated(rotated) => self.0.map(|issued| issued.rotated(rotated)),
            IdentityEvent::ApiKeyRevoked(_) => {
                self.0.map(|issued| IssuedKey { is_revoked: true, ..issued })
            }
            _ => self.0,
        };
        Self(issued)
    }

    fn heap_bytes(&self) -> usize {
        let bytes = |issued: &IssuedKey| {
            let name = issued.name.value().map_or(0, |name| name.as_str().len());
            let grants = issued.grants.iter();
            let grants = grants.map(|grant| size_of_val(grant) + grant.permission.as_str().len());
            name + grants.sum::<usize>() + size_of_val(&issued.replaced[..])
        };
        self.0.as_ref().map_or(0, bytes)
    }
}

impl Decider for CreateApiKey {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id), super::api_key(self.key_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { key_id, user_id, name, grants, created_at, expires_at } = self.clone();
        User::find_active(aggregates, user_id)?;
        let key: Option<&ApiKey> = aggregates.get(super::api_key(key_id));
        if key.is_some_and(|key| key.0.is_some()) {
            return Err(Rejection::ApiKeyExists(key_id));
        }
        if expires_at.is_some_and(|end| end <= created_at) {
            return Err(Rejection::ApiKeyOver(key_id));
        }
        let name = Personal::new(user_id, name);
        let created = ApiKeyCreated { key_id, user_id, name, grants, created_at, expires_at };
        Ok(vec![IdentityEvent::from(created).into()])
    }
}

impl Decider for RotateApiKey {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id), super::api_key(self.key_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { key_id, user_id, from, rotated_at, previous_until } = *self;
        User::find_active(aggregates, user_id)?;
        let issued = ApiKey::find(aggregates, key_id, user_id)?;
        if issued.is_over(rotated_at) {
            return Err(Rejection::ApiKeyOver(key_id));
        }
        if issued.number != from {
            return Err(Rejection::ApiKeyRotated(key_id));
        }
        let number = from + 1;
        let rotated = ApiKeyRotated { key_id, user_id, number, rotated_at, previous_until };
        Ok(vec![IdentityEvent::from(rotated).into()])
    }
}

impl Decider for RevokeApiKey {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::api_key(self.key_id)]
    }

    /// Nothing follows if it is revoked already.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { key_id, user_id } = *self;
        if ApiKey::find_any(aggregates, key_id, user_id)?.is_revoked {
            return Ok(Vec::new());
        }
        Ok(vec![IdentityEvent::from(ApiKeyRevoked { key_id, user_id }).into()])
    }
}
