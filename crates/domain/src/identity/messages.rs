//! What is told of users, sessions and roles: that something happened, and to whom by id; nothing
//! personal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IdentityEvent;
use super::role::RoleName;
use super::second_factor::DisabledBy;
use super::session::EndReason;
use crate::ids::{ApiKeyId, SessionId, UserId};
use crate::payload::public_payloads;

public_payloads! {
    /// Messages of identity.
    IdentityMessage {
        UserRegistered = "identity.user-registered" v 1,
        RegistrationRepeated = "identity.registration-repeated" v 1,
        VerificationRequested = "identity.verification-requested" v 1,
        EmailVerified = "identity.email-verified" v 1,
        EmailChanged = "identity.email-changed" v 1,
        PasswordResetRequested = "identity.password-reset-requested" v 1,
        PasswordChanged = "identity.password-changed" v 1,
        UserSuspended = "identity.user-suspended" v 1,
        UserReinstated = "identity.user-reinstated" v 1,
        UserDeactivated = "identity.user-deactivated" v 1,
        RoleGranted = "identity.role-granted" v 1,
        RoleWithdrawn = "identity.role-withdrawn" v 1,
        SessionStarted = "identity.session-started" v 1,
        SessionEnded = "identity.session-ended" v 1,
        SessionsEnded = "identity.sessions-ended" v 1,
        ApiKeyCreated = "identity.api-key-created" v 1,
        ApiKeyRotated = "identity.api-key-rotated" v 1,
        ApiKeyRevoked = "identity.api-key-revoked" v 1,
        SecondFactorEnabled = "identity.second-factor-enabled" v 1,
        SecondFactorDisabled = "identity.second-factor-disabled" v 1,
        RecoveryCodeUsed = "identity.recovery-code-used" v 1,
        RecoveryCodesReplaced = "identity.recovery-codes-replaced" v 1,
    }
}

/// Declares messages that say to whom something happened.
macro_rules! of_user {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            pub struct $name {
                /// The user.
                pub user_id: UserId,
            }
        )+
    };
}

of_user! {
    /// Somebody asked for a second account with the address of this user, who is to be told.
    RegistrationRepeated,
    /// The user is to be mailed what proves the address, or the one that is wanted instead.
    VerificationRequested,
    /// The address of the user is proved.
    EmailVerified,
    /// The user has another address.
    EmailChanged,
    /// The user is to be mailed what lets choose another password.
    PasswordResetRequested,
    /// The user has another password; sessions from before are over, but for the one it was changed in.
    PasswordChanged,
    /// The user is kept out until further notice; all sessions are over.
    UserSuspended,
    /// The user may come in again.
    UserReinstated,
    /// The account is closed; all sessions are over.
    UserDeactivated,
    /// All sessions of the user are over, but for the one it was asked for in.
    SessionsEnded,
    /// The password alone lets the user in no more; sessions go on.
    SecondFactorEnabled,
    /// The user has used up a code for when the device is lost.
    RecoveryCodeUsed,
    /// The user has other codes for when the device is lost.
    RecoveryCodesReplaced,
}

/// There is an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserRegistered {
    /// The user.
    pub user_id: UserId,
    /// Whether the address needs no proof.
    pub is_verified: bool,
}

/// The user has a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleGranted {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

/// The user has a role no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleWithdrawn {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

/// The password alone lets the user in again; sessions go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFactorDisabled {
    /// The user.
    pub user_id: UserId,
    /// Who has taken it away.
    pub by: DisabledBy,
}

/// The user is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStarted {
    /// The session.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
}

/// The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// The session.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// Why.
    pub reason: EndReason,
}

/// Declares messages that say what happened to an API key.
macro_rules! of_api_key {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            pub struct $name {
                /// The key.
                pub key_id: ApiKeyId,
                /// Whose it is.
                pub user_id: UserId,
            }
        )+
    };
}

of_api_key! {
    /// A program may be let in on behalf of the user.
    ApiKeyCreated,
    /// The key has another secret; those of before may count for a while.
    ApiKeyRotated,
    /// The key is over.
    ApiKeyRevoked,
}

impl IdentityMessage {
    /// What the public learns of `event`.
    #[must_use]
    pub fn of(event: &IdentityEvent) -> Option<Self> {
        Some(match event {
            IdentityEvent::UserRegistered(event) => {
                UserRegistered { user_id: event.user_id, is_verified: event.is_verified }.into()
            }
            IdentityEvent::RegistrationRepeated(event) => {
                RegistrationRepeated { user_id: event.user_id }.into()
            }
            IdentityEvent::VerificationRequested(event) => {
                VerificationRequested { user_id: event.user_id }.into()
            }
            // What is wanted has to be proved.
            IdentityEvent::EmailChangeRequested(event) => {
                VerificationRequested { user_id: event.user_id }.into()
            }
            IdentityEvent::EmailVerified(event) => EmailVerified { user_id: event.user_id }.into(),
            IdentityEvent::EmailChanged(event) => EmailChanged { user_id: event.user_id }.into(),
            IdentityEvent::PasswordResetRequested(event) => {
                PasswordResetRequested { user_id: event.user_id }.into()
            }
            IdentityEvent::PasswordChanged(event) => {
                PasswordChanged { user_id: event.user_id }.into()
            }
            IdentityEvent::UserSuspended(event) => UserSuspended { user_id: event.user_id }.into(),
            IdentityEvent::UserReinstated(event) => {
                UserReinstated { user_id: event.user_id }.into()
            }
            IdentityEvent::UserDeactivated(event) => {
                UserDeactivated { user_id: event.user_id }.into()
            }
            IdentityEvent::RoleGranted(event) => {
                RoleGranted { user_id: event.user_id, role: event.role.clone() }.into()
            }
            IdentityEvent::RoleWithdrawn(event) => {
                RoleWithdrawn { user_id: event.user_id, role: event.role.clone() }.into()
            }
            IdentityEvent::SecondFactorEnabled(event) => {
                SecondFactorEnabled { user_id: event.user_id }.into()
            }
            IdentityEvent::SecondFactorDisabled(event) => {
                SecondFactorDisabled { user_id: event.user_id, by: event.by }.into()
            }
            IdentityEvent::RecoveryCodeUsed(event) => {
                RecoveryCodeUsed { user_id: event.user_id }.into()
            }
            IdentityEvent::RecoveryCodesReplaced(event) => {
                RecoveryCodesReplaced { user_id: event.user_id }.into()
            }
            IdentityEvent::SessionsEnded(event) => SessionsEnded { user_id: event.user_id }.into(),
            IdentityEvent::SessionStarted(event) => {
                SessionStarted { session_id: event.session_id, user_id: event.user_id }.into()
            }
            IdentityEvent::SessionEnded(event) => SessionEnded {
                session_id: event.session_id,
                user_id: event.user_id,
                reason: event.reason,
            }
            .into(),
            IdentityEvent::ApiKeyCreated(event) => {
                ApiKeyCreated { key_id: event.key_id, user_id: event.user_id }.into()
            }
            IdentityEvent::ApiKeyRotated(event) => {
                ApiKeyRotated { key_id: event.key_id, user_id: event.user_id }.into()
            }
            IdentityEvent::ApiKeyRevoked(event) => {
                ApiKeyRevoked { key_id: event.key_id, user_id: event.user_id }.into()
            }
            // By what somebody comes in is nobody's business.
            IdentityEvent::ExternalIdentityLinked(_)
            | IdentityEvent::ExternalIdentityUnlinked(_)
            | IdentityEvent::ProfileChanged(_)
            | IdentityEvent::SessionKept(_)
            | IdentityEvent::RoleDefined(_)
            | IdentityEvent::RoleRemoved(_) => return None,
        })
    }
}
