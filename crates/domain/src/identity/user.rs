//! The user aggregate: an account and how it stands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::external::{LinkedBy, LinkedIdentity, MOST_EXTERNAL_IDENTITIES};
use super::role::RoleName;
use super::second_factor::SecondFactor;
use super::standing::Standing;
use super::{EmailChanged, IdentityEvent, UserRegistered};
use crate::ids::{ApiKeyId, SessionId, UserId};
use crate::values::{Email, ExternalIdentity, PersonName, Personal};
use crate::{Aggregate, Aggregates, Event};

/// A user: the account, once there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct User(Option<Account>);

/// Somebody's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The address.
    pub email: Personal<Email>,
    /// Whether it is proved.
    pub is_verified: bool,
    /// The address that is wanted instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Personal<Email>>,
    /// What people call the user.
    pub name: Personal<PersonName>,
    /// Whether the user may come in.
    pub standing: Standing,
    /// Of which sessions are that are not over.
    pub generation: u32,
    /// What the user is granted.
    pub roles: BTreeSet<RoleName>,
    /// What the user proves to be the one by besides the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    /// By which identities elsewhere the user comes in, the first linked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<LinkedIdentity>,
    /// Whether the user has no password, and so no other way to come in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_passwordless: bool,
}

/// Why a command on users, sessions or roles was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The id is in use.
    #[error("user {0} is registered already")]
    AlreadyRegistered(UserId),
    /// Nobody has this id.
    #[error("no user {0} is registered")]
    NotRegistered(UserId),
    /// The user is suspended or has closed the account.
    #[error("user {0} may not come in")]
    NotActive(UserId),
    /// The account is closed for good.
    #[error("the account of user {0} is closed")]
    Deactivated(UserId),
    /// The address is not proved.
    #[error("the address of user {0} is not verified")]
    NotVerified(UserId),
    /// What was proved is not an address of the user.
    #[error("this is no address of user {0}")]
    OtherAddress(UserId),
    /// The password alone does not let in.
    #[error("user {0} has not proved the second factor")]
    SecondFactorRequired(UserId),
    /// There is one already.
    #[error("user {0} has a second factor already")]
    HasSecondFactor(UserId),
    /// There is none, or no code is left for when the device is lost.
    #[error("user {0} has no second factor")]
    NoSecondFactor(UserId),
    /// The address was proved meanwhile, or nobody had proved it.
    #[error("whether the address of user {0} is verified has changed")]
    VerifiedMeanwhile(UserId),
    /// The user has no such identity elsewhere.
    #[error("user {0} has linked no such identity")]
    NotLinked(UserId),
    /// Nothing else lets the user in.
    #[error("user {0} has no password and no other identity to come in by")]
    LastWayIn(UserId),
    /// The user has as many identities elsewhere as may be.
    #[error("user {0} has linked as many identities as may be")]
    TooManyLinked(UserId),
    /// The id of the session is in use.
    #[error("session {0} has started already")]
    AlreadyStarted(SessionId),
    /// The user has no such session, or it is over.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// There is no such role.
    #[error("there is no role {0}")]
    NoRole(RoleName),
    /// The role grants something else than it did.
    #[error("role {0} was defined anew meanwhile")]
    RoleChanged(RoleName),
    /// The id of the API key is in use.
    #[error("API key {0} is there already")]
    ApiKeyExists(ApiKeyId),
    /// The user has no such API key, or it is revoked.
    #[error("there is no API key {0}")]
    NoApiKey(ApiKeyId),
    /// The API key is over by then.
    #[error("API key {0} is over by then")]
    ApiKeyOver(ApiKeyId),
    /// The API key has another secret than it had.
    #[error("API key {0} got another secret meanwhile")]
    ApiKeyRotated(ApiKeyId),
}

impl User {
    /// The account.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        self.0.as_ref()
    }

    /// The account of the user `id`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(aggregates: &Aggregates, id: UserId) -> Result<&Account, Rejection> {
        let user: Option<&Self> = aggregates.get(super::user(id));
        user.and_then(Self::account).ok_or(Rejection::NotRegistered(id))
    }

    /// [`User::find`], of a user who may come in.
    ///
    /// # Errors
    /// There is none, or it is suspended or closed.
    pub(super) fn find_active(aggregates: &Aggregates, id: UserId) -> Result<&Account, Rejection> {
        let account = Self::find(aggregates, id)?;
        match account.standing {
            Standing::Active => Ok(account),
            Standing::Suspended | Standing::Deactivated => Err(Rejection::NotActive(id)),
        }
    }
}

impl Aggregate for User {
    const CATEGORY: &'static str = super::USER;

    fn evolve(self, event: &Event) -> Self {
        let Event::Identity(event) = event else { return self };
        if let IdentityEvent::UserRegistered(registered) = event {
            let UserRegistered { email, name, is_verified, .. } = registered.clone();
            return Self(Some(Account {
                email,
                is_verified,
                wanted: None,
                name,
                standing: Standing::Active,
                generation: 0,
                roles: BTreeSet::new(),
                second_factor: None,
                external: Vec::new(),
                is_passwordless: false,
            }));
        }
        Self(self.0.map(|account| account.evolve(event)))
    }

    fn heap_bytes(&self) -> usize {
        let text = |account: &Account| {
            let emails = [Some(&account.email), account.wanted.as_ref()].into_iter().flatten();
            let emails = emails.filter_map(Personal::value).map(|email| email.as_str().len());
            let name = account.name.value().map_or(0, |name| name.as_str().len());
            let roles = account.roles.iter().map(|role| size_of_val(role) + role.as_str().len());
            let external = account.external.iter().map(|linked| {
                let value = linked.identity.value();
                size_of_val(linked) + value.map_or(0, ExternalIdentity::heap_bytes)
            });
            emails.chain(roles).chain(external).sum::<usize>() + name
        };
        self.0.as_ref().map_or(0, text)
    }
}

impl Account {
    fn evolve(mut self, event: &IdentityEvent) -> Self {
        match event {
            IdentityEvent::EmailVerified(_) => self.is_verified = true,
            IdentityEvent::EmailChangeRequested(wanted) => self.wanted = Some(wanted.email.clone()),
            IdentityEvent::EmailChanged(EmailChanged { email, .. }) => {
                self.email = email.clone();
                self.is_verified = true;
                self.wanted = None;
            }
            IdentityEvent::ProfileChanged(changed) => self.name = changed.name.clone(),
            IdentityEvent::PasswordChanged(changed) => {
                self.generation = changed.generation;
                self.is_passwordless = false;
            }
            IdentityEvent::SessionsEnded(ended) => self.generation = ended.generation,
            IdentityEvent::UserSuspended(_) => self.leave(Standing::Suspended),
            IdentityEvent::UserDeactivated(_) => self.leave(Standing::Deactivated),
            IdentityEvent::UserReinstated(_) => self.standing = Standing::Active,
            IdentityEvent::RoleGranted(granted) => {
                self.roles.insert(granted.role.clone());
            }
            IdentityEvent::RoleWithdrawn(withdrawn) => {
                self.roles.remove(&withdrawn.role);
            }
            IdentityEvent::SecondFactorEnabled(enabled) => {
                self.second_factor = Some(SecondFactor { recovery_codes: enabled.recovery_codes });
            }
            IdentityEvent::SecondFactorDisabled(_) => self.second_factor = None,
            IdentityEvent::RecoveryCodeUsed(_) => {
                if let Some(factor) = &mut self.second_factor {
                    factor.recovery_codes = factor.recovery_codes.saturating_sub(1);
                }
            }
            IdentityEvent::RecoveryCodesReplaced(replaced) => {
                if let Some(factor) = &mut self.second_factor {
                    factor.recovery_codes = replaced.recovery_codes;
                }
            }
            IdentityEvent::ExternalIdentityLinked(linked) => {
                let (id, identity) = (linked.id, linked.identity.clone());
                self.external.push(LinkedIdentity { id, identity, linked_at: linked.linked_at });
                if matches!(linked.by, LinkedBy::Registration | LinkedBy::TakeOver) {
                    self.is_passwordless = true;
                }
            }
            IdentityEvent::ExternalIdentityUnlinked(unlinked) => {
                self.external.retain(|linked| linked.id != unlinked.id);
            }
            IdentityEvent::UserRegistered(_)
            | IdentityEvent::RegistrationRepeated(_)
            | IdentityEvent::VerificationRequested(_)
            | IdentityEvent::PasswordResetRequested(_)
            | IdentityEvent::SessionStarted(_)
            | IdentityEvent::SessionKept(_)
            | IdentityEvent::SessionEnded(_)
            | IdentityEvent::RoleDefined(_)
            | IdentityEvent::RoleRemoved(_)
            | IdentityEvent::ApiKeyCreated(_)
            | IdentityEvent::ApiKeyRotated(_)
            | IdentityEvent::ApiKeyRevoked(_) => {}
        }
        self
    }

    /// Whether the user comes in by `identity` already.
    pub(super) fn has_linked(&self, identity: &ExternalIdentity) -> bool {
        let wanted = identity.unique_form();
        let known = self.external.iter().filter_map(|linked| linked.identity.value());
        known.into_iter().any(|known| known.unique_form() == wanted)
    }

    /// Refuses if the user has as many identities elsewhere as may be.
    pub(super) fn has_room(&self, user_id: UserId) -> Result<(), Rejection> {
        if self.external.len() < MOST_EXTERNAL_IDENTITIES {
            return Ok(());
        }
        Err(Rejection::TooManyLinked(user_id))
    }

    /// Also the sessions of until now are over, so that reinstating brings none of them back.
    fn leave(&mut self, standing: Standing) {
        self.standing = standing;
        self.generation += 1;
    }
}
