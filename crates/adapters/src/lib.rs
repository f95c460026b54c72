//! Real implementations of the application's ports, one file each.

mod access_tokens;
mod breached_file;
mod logged_mailer;
mod openid_connect;
mod passwords;
mod smtp_mailer;
mod system_clock;
mod system_randomness;
mod time_ordered_ids;

pub use access_tokens::Jwts;
pub use breached_file::{BreachedFile, BreachedFileError};
pub use logged_mailer::LoggedMailer;
pub use openid_connect::{InvalidProvider, OpenIdConnect, ProviderSettings};
pub use passwords::{Argon2Passwords, HashCost, HashThreads, PasswordsSetupError};
pub use smtp_mailer::{
    InvalidSender, Sender, SmtpLogin, SmtpMailer, SmtpMailerError, SmtpSecurity, SmtpSettings,
};
pub use system_clock::SystemClock;
pub use system_randomness::SystemRandomness;
pub use time_ordered_ids::TimeOrderedIds;
