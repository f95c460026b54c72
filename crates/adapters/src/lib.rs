//! Real implementations of the application's ports, one file each.

mod logged_mailer;
mod smtp_mailer;
mod system_clock;
mod time_ordered_ids;

pub use logged_mailer::LoggedMailer;
pub use smtp_mailer::{
    InvalidSender, Sender, SmtpLogin, SmtpMailer, SmtpMailerError, SmtpSecurity, SmtpSettings,
};
pub use system_clock::SystemClock;
pub use time_ordered_ids::TimeOrderedIds;
