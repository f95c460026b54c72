//! Identity: who has an account, is logged in, and may do what.
//!
//! Passwords and tokens are no part of it: the domain knows that a password was changed, and nobody
//! can learn from what it knows which one it is.

pub mod messages;

mod api_key;
mod events;
mod external;
mod mailbox;
mod password;
mod profile;
mod register;
mod role;
mod second_factor;
mod session;
mod standing;
mod user;

pub use api_key::{
    ApiKey, CreateApiKey, IssuedKey, MOST_SECRETS, ReplacedSecret, RevokeApiKey, RotateApiKey,
};
pub use events::{
    ApiKeyCreated, ApiKeyRevoked, ApiKeyRotated, Client, EmailChangeRequested, EmailChanged,
    EmailVerified, ExternalIdentityLinked, ExternalIdentityUnlinked, IdentityEvent,
    PasswordChanged, PasswordResetRequested, ProfileChanged, RecoveryCodeUsed,
    RecoveryCodesReplaced, RegistrationRepeated, RoleDefined, RoleGranted, RoleRemoved,
    RoleWithdrawn, SecondFactorDisabled, SecondFactorEnabled, SessionEnded, SessionKept,
    SessionStarted, SessionsEnded, UserDeactivated, UserRegistered, UserReinstated, UserSuspended,
    VerificationRequested,
};
pub use external::{
    LinkByAddress, LinkExternalIdentity, LinkedBy, LinkedIdentity, MOST_EXTERNAL_IDENTITIES,
    NewLink, RegisterByExternalIdentity, UnlinkExternalIdentity,
};
pub use mailbox::{ChangeEmail, RequestVerification, VerifyEmail};
pub use password::{RecordPassword, RequestPasswordReset};
pub use profile::ChangeProfile;
pub use register::{RegisterUser, RepeatRegistration};
pub use role::{
    DefineRole, Grant, GrantRole, InvalidRole, PermissionName, Reach, RemoveRole, Role, RoleName,
    WithdrawRole,
};
pub use second_factor::{
    DisableSecondFactor, DisabledBy, EnableSecondFactor, ReplaceRecoveryCodes, SecondFactor,
    UseRecoveryCode,
};
pub use session::{EndReason, EndSession, EndSessions, Session, StartSession, Stay};
pub use standing::{DeactivateUser, ReinstateUser, Standing, SuspendUser};
pub use user::{Account, Rejection, User};

use uuid::Uuid;

use crate::Stream;
use crate::ids::{ApiKeyId, SessionId, UserId};

/// Category of the streams of users.
pub const USER: &str = "identity.user";

/// Category of the streams of sessions.
pub const SESSION: &str = "identity.session";

/// Category of the streams of API keys.
pub const API_KEY: &str = "identity.api-key";

/// Category of the streams of roles.
pub const ROLE: &str = "identity.role";

/// Namespace of the claims of addresses.
pub const EMAIL: &str = "identity.email";

/// Namespace of the claims of identities elsewhere.
pub const EXTERNAL: &str = "identity.external";

/// Under which names of roles become ids of their streams.
const ROLES: Uuid = Uuid::from_u128(0x0193_4f3c_9e21_7c55_8f10_726f_6c65_7300);

/// The stream of the user `id`.
#[must_use]
pub const fn user(id: UserId) -> Stream {
    Stream::new(USER, id.get())
}

/// The stream of the session `id`.
#[must_use]
pub const fn session(id: SessionId) -> Stream {
    Stream::new(SESSION, id.get())
}

/// The stream of the API key `id`.
#[must_use]
pub const fn api_key(id: ApiKeyId) -> Stream {
    Stream::new(API_KEY, id.get())
}

/// The stream of the role that is called `name`.
#[must_use]
pub fn role(name: &RoleName) -> Stream {
    Stream::new(ROLE, Uuid::new_v5(&ROLES, name.as_str().as_bytes()))
}
