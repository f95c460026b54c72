//! Mail that goes out.
//!
//! Whom a mail is for and what it says is personal, and it often holds a token that opens an
//! account. So nothing here shows an address, a name, a subject or a body: neither `Debug` of a
//! [`Mail`] nor a [`MailError`], which holds no word that a server said, for servers repeat
//! addresses.

use std::error::Error;
use std::fmt;

use futures_util::future::BoxFuture;
use uuid::Uuid;

/// Sends mail.
pub trait Mailer: Send + Sync {
    /// Sends `mail`; done when somebody else has taken the responsibility for it.
    ///
    /// It may have been sent although this fails or is given up: only the answer was lost then.
    /// Whoever sends it again with the same [`Mail::message_id`] lets mailboxes notice.
    ///
    /// # Errors
    /// [`MailError::Temporary`]: try again later. [`MailError::Permanent`]: do not.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// A mail to one recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Names it: the same at each try to send the same mail, another for any other mail.
    pub message_id: Uuid,
    /// Whom it is for.
    pub to: Recipient,
    /// What it is about, in one line.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Whom a mail is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Such as `ada@example.com`.
    pub address: String,
    /// Shown beside the address. None as long as the owner of the address has not said that it is
    /// theirs: else strangers have Annals mail them what somebody else chose as a name.
    pub name: Option<String>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient").finish_non_exhaustive()
    }
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not now; the same mail may go later.
    #[error("the mail was not sent: {trouble}{}", in_words(*code))]
    Temporary {
        /// What is wrong.
        trouble: MailTrouble,
        /// What the server answered, by RFC 5321, if it was that.
        code: Option<u16>,
        /// What went wrong before the server was told of the mail.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Never: this address, or this mail, is not taken.
    #[error("the mail is refused for good{}", in_words(*code))]
    Permanent {
        /// What the server answered, by RFC 5321; none if it was not even asked, for what is given
        /// is no address.
        code: Option<u16>,
    },
}

impl MailError {
    /// What the server answered, by RFC 5321.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Temporary { code, .. } | Self::Permanent { code } => *code,
        }
    }

    /// Whether another try is in vain.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent { .. })
    }
}

fn in_words(code: Option<u16>) -> String {
    code.map(|code| format!(" (code {code})")).unwrap_or_default()
}

/// What keeps any mail, or this one for now, from being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailTrouble {
    /// No connection.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It offers no TLS, or its certificate is not good.
    #[error("the server cannot be trusted")]
    Untrusted,
    /// User or password, or that there are none.
    #[error("the server does not let us in")]
    NotLetIn,
    /// It says to try later, or does not take our own address.
    #[error("the server does not take it now")]
    NotTaken,
    /// It may have been sent.
    #[error("the server did not answer in time")]
    TimedOut,
    /// It may have been sent.
    #[error("the connection was lost")]
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_mail_is_its_id() {
        let mail = Mail {
            message_id: Uuid::nil(),
            to: Recipient { address: "ada@secret.example".into(), name: Some("Ada".into()) },
            subject: "secret subject".into(),
            text: "secret text".into(),
            html: Some("secret html".into()),
        };
        let shown = format!("{mail:?} {:?}", mail.to);
        assert!(shown.contains(&Uuid::nil().to_string()));
        assert!(!shown.contains("secret") && !shown.contains("Ada"), "{shown}");
    }

    #[test]
    fn an_error_says_what_to_do_about_it() {
        let later =
            MailError::Temporary { trouble: MailTrouble::NotTaken, code: Some(451), source: None };
        assert!(!later.is_permanent());
        let text = "the mail was not sent: the server does not take it now (code 451)";
        assert_eq!(later.to_string(), text);
        let never = MailError::Permanent { code: None };
        assert_eq!((never.is_permanent(), never.code()), (true, None));
        assert_eq!(never.to_string(), "the mail is refused for good");
    }
}
