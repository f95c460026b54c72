//! What happens to users, sessions and roles.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::external::LinkedBy;
use super::role::{Grant, RoleName};
use super::second_factor::DisabledBy;
use super::session::EndReason;
use crate::ids::{ApiKeyId, SessionId, UserId};
use crate::payload::payloads;
use crate::values::{ApiKeyName, Email, ExternalIdentity, PersonName, Personal};
use crate::{Claim, Stream};

payloads! {
    /// Events of identity.
    IdentityEvent {
        UserRegistered = "identity.user-registered" v 1,
        RegistrationRepeated = "identity.registration-repeated" v 1,
        VerificationRequested = "identity.verification-requested" v 1,
        EmailVerified = "identity.email-verified" v 1,
        EmailChangeRequested = "identity.email-change-requested" v 1,
        EmailChanged = "identity.email-changed" v 1,
        ProfileChanged = "identity.profile-changed" v 1,
        PasswordResetRequested = "identity.password-reset-requested" v 1,
        PasswordChanged = "identity.password-changed" v 1,
        UserSuspended = "identity.user-suspended" v 1,
        UserReinstated = "identity.user-reinstated" v 1,
        UserDeactivated = "identity.user-deactivated" v 1,
        RoleGranted = "identity.role-granted" v 1,
        RoleWithdrawn = "identity.role-withdrawn" v 1,
        SessionsEnded = "identity.sessions-ended" v 1,
        ExternalIdentityLinked = "identity.external-identity-linked" v 1,
        ExternalIdentityUnlinked = "identity.external-identity-unlinked" v 1,
        SessionStarted = "identity.session-started" v 1,
        SessionKept = "identity.session-kept" v 1,
        SessionEnded = "identity.session-ended" v 1,
        RoleDefined = "identity.role-defined" v 1,
        RoleRemoved = "identity.role-removed" v 1,
        ApiKeyCreated = "identity.api-key-created" v 1,
        ApiKeyRotated = "identity.api-key-rotated" v 1,
        ApiKeyRevoked = "identity.api-key-revoked" v 1,
        SecondFactorEnabled = "identity.second-factor-enabled" v 1,
        SecondFactorDisabled = "identity.second-factor-disabled" v 1,
        RecoveryCodeUsed = "identity.recovery-code-used" v 1,
        RecoveryCodesReplaced = "identity.recovery-codes-replaced" v 1,
    }
}

/// Declares events that say nothing but that something happened to a user.
macro_rules! of_user {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                /// The user.
                pub user_id: UserId,
            }
        )+
    };
}

of_user! {
    /// Somebody asked for a second account with the address of this one.
    RegistrationRepeated,
    /// The user shall be mailed once more what proves the address.
    VerificationRequested,
    /// The address is the user's own.
    EmailVerified,
    /// Somebody who says to be the user has forgotten the password.
    PasswordResetRequested,
    /// The user is kept out until further notice; all sessions are over.
    UserSuspended,
    /// The user may come in again.
    UserReinstated,
    /// The account is closed; all sessions are over.
    UserDeactivated,
    /// The user has come in, or done something, with a code for when the device is lost; it is used up.
    RecoveryCodeUsed,
}

/// There is an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRegistered {
    /// The user.
    pub user_id: UserId,
    /// The address, unique among all users whatever the case.
    pub email: Personal<Email>,
    /// What people call the user.
    pub name: Personal<PersonName>,
    /// Whether the address needs no proof.
    pub is_verified: bool,
    /// When.
    pub registered_at: DateTime<Utc>,
}

/// The user wants another address, and has to prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailChangeRequested {
    /// The user.
    pub user_id: UserId,
    /// The address that is wanted.
    pub email: Personal<Email>,
}

/// The user has another address, and it is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailChanged {
    /// The user.
    pub user_id: UserId,
    /// The address.
    pub email: Personal<Email>,
    /// The one before.
    pub previous: Personal<Email>,
}

/// The user is called otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileChanged {
    /// The user.
    pub user_id: UserId,
    /// What people call the user.
    pub name: Personal<PersonName>,
}

/// The user has another password; sessions of earlier generations are over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChanged {
    /// The user.
    pub user_id: UserId,
    /// Of which sessions are from now on.
    pub generation: u32,
}

/// All sessions of the user are over that are of earlier generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsEnded {
    /// The user.
    pub user_id: UserId,
    /// Of which sessions are from now on.
    pub generation: u32,
}

/// The user has a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleGranted {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

/// The user has a role no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleWithdrawn {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

/// The password alone lets the user in no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorEnabled {
    /// The user.
    pub user_id: UserId,
    /// How many codes there are for when the device is lost.
    pub recovery_codes: u8,
}

/// The password alone lets the user in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorDisabled {
    /// The user.
    pub user_id: UserId,
    /// Who has taken it away.
    pub by: DisabledBy,
}

/// There are other codes for when the device is lost, and those of before are good no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCodesReplaced {
    /// The user.
    pub user_id: UserId,
    /// How many there are from now on.
    pub recovery_codes: u8,
}

/// The user comes in by an identity elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdentityLinked {
    /// The user.
    pub user_id: UserId,
    /// What the identity is called here.
    pub id: Uuid,
    /// Which it is; it is of no other user.
    pub identity: Personal<ExternalIdentity>,
    /// Why.
    pub by: LinkedBy,
    /// When.
    pub linked_at: DateTime<Utc>,
}

/// The user does not come in by an identity elsewhere any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdentityUnlinked {
    /// The user.
    pub user_id: UserId,
    /// What the identity was called here.
    pub id: Uuid,
    /// Which it is; another user may have it from now on.
    pub identity: Personal<ExternalIdentity>,
}

/// The user is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStarted {
    /// The session.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's generation of sessions that it is of.
    pub generation: u32,
    /// From where.
    pub client: Personal<Client>,
    /// When.
    pub started_at: DateTime<Utc>,
    /// When it is over, whatever happens.
    pub expires_at: DateTime<Utc>,
}

/// From where somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The network address.
    pub address: String,
    /// What the program says that it is.
    pub agent: Option<String>,
}

/// The session goes on where others of its user end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionKept {
    /// The session.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's generation of sessions that it is of from now on.
    pub generation: u32,
}

/// The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnded {
    /// The session.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// Why.
    pub reason: EndReason,
}

/// There is a role, and this is what it grants from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleDefined {
    /// Its name.
    pub role: RoleName,
    /// What it grants.
    pub grants: BTreeSet<Grant>,
}

/// There is a role no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRemoved {
    /// Its name.
    pub role: RoleName,
}

/// A program may be let in on behalf of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreated {
    /// The key.
    pub key_id: ApiKeyId,
    /// The user.
    pub user_id: UserId,
    /// What the user calls it.
    pub name: Personal<ApiKeyName>,
    /// What may be done with it, as long as the user may.
    pub grants: BTreeSet<Grant>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it is over, whatever happens.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The key has another secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRotated {
    /// The key.
    pub key_id: ApiKeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// Counts its secrets.
    pub number: u32,
    /// When.
    pub rotated_at: DateTime<Utc>,
    /// Until when those of before count, if they do so long.
    pub previous_until: DateTime<Utc>,
}

/// The key is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRevoked {
    /// The key.
    pub key_id: ApiKeyId,
    /// Whose it was.
    pub user_id: UserId,
}

impl IdentityEvent {
    pub(crate) fn stream(&self) -> Stream {
        match self {
            Self::SessionStarted(SessionStarted { session_id, .. })
            | Self::SessionKept(SessionKept { session_id, .. })
            | Self::SessionEnded(SessionEnded { session_id, .. }) => super::session(*session_id),
            Self::RoleDefined(RoleDefined { role, .. })
            | Self::RoleRemoved(RoleRemoved { role }) => super::role(role),
            Self::ApiKeyCreated(ApiKeyCreated { key_id, .. })
            | Self::ApiKeyRotated(ApiKeyRotated { key_id, .. })
            | Self::ApiKeyRevoked(ApiKeyRevoked { key_id, .. }) => super::api_key(*key_id),
            Self::UserRegistered(UserRegistered { user_id, .. })
            | Self::RegistrationRepeated(RegistrationRepeated { user_id })
            | Self::VerificationRequested(VerificationRequested { user_id })
            | Self::EmailVerified(EmailVerified { user_id })
            | Self::EmailChangeRequested(EmailChangeRequested { user_id, .. })
            | Self::EmailChanged(EmailChanged { user_id, .. })
            | Self::ProfileChanged(ProfileChanged { user_id, .. })
            | Self::PasswordResetRequested(PasswordResetRequested { user_id })
            | Self::PasswordChanged(PasswordChanged { user_id, .. })
            | Self::UserSuspended(UserSuspended { user_id })
            | Self::UserReinstated(UserReinstated { user_id })
            | Self::UserDeactivated(UserDeactivated { user_id })
            | Self::RoleGranted(RoleGranted { user_id, .. })
            | Self::RoleWithdrawn(RoleWithdrawn { user_id, .. })
            | Self::SecondFactorEnabled(SecondFactorEnabled { user_id, .. })
            | Self::SecondFactorDisabled(SecondFactorDisabled { user_id, .. })
            | Self::RecoveryCodeUsed(RecoveryCodeUsed { user_id })
            | Self::RecoveryCodesReplaced(RecoveryCodesReplaced { user_id, .. })
            | Self::ExternalIdentityLinked(ExternalIdentityLinked { user_id, .. })
            | Self::ExternalIdentityUnlinked(ExternalIdentityUnlinked { user_id, .. })
            | Self::SessionsEnded(SessionsEnded { user_id, .. }) => super::user(*user_id),
        }
    }

    pub(crate) fn claims(&self) -> Vec<Claim> {
        match self {
            Self::UserRegistered(UserRegistered { email, .. })
            | Self::EmailChanged(EmailChanged { email, .. }) => claim(email),
            Self::ExternalIdentityLinked(linked) => claim_external(&linked.identity),
            _ => Vec::new(),
        }
    }

    pub(crate) fn releases(&self) -> Vec<Claim> {
        match self {
            Self::EmailChanged(EmailChanged { previous, .. }) => claim(previous),
            Self::ExternalIdentityUnlinked(unlinked) => claim_external(&unlinked.identity),
            _ => Vec::new(),
        }
    }
}

/// The claim of an address, if it can still be read.
fn claim(email: &Personal<Email>) -> Vec<Claim> {
    let value = email.value().map(Email::unique_form);
    let claim =
        value.map(|value| Claim { namespace: super::EMAIL, value, subject: Some(email.subject()) });
    claim.into_iter().collect()
}

/// The same of an identity elsewhere.
fn claim_external(identity: &Personal<ExternalIdentity>) -> Vec<Claim> {
    let value = identity.value().map(ExternalIdentity::unique_form);
    let subject = Some(identity.subject());
    let claim = value.map(|value| Claim { namespace: super::EXTERNAL, value, subject });
    claim.into_iter().collect()
}
