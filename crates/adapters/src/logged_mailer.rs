//! Mail that goes to the log.

use application::ports::{Mail, MailError, Mailer};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

/// Logs each mail instead of sending it, with its address and its text, and whatever token that
/// holds: for whoever develops on a machine of their own, and nobody else.
#[derive(Debug, Clone, Copy)]
pub struct LoggedMailer;

impl Mailer for LoggedMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        let Mail { message_id, to, subject, text, html: _ } = mail;
        tracing::info!(mail.id = %message_id, "mail to {}: {subject}\n\n{text}", to.address);
        ready(Ok(())).boxed()
    }
}
