//! Mail by SMTP, handed to a server that takes it further.
//!
//! Connections are kept for the next mail, in a pool of its own: that of lettre takes back a
//! connection on which somebody gave up waiting in the middle of a mail, and its client has no
//! limit for how long an answer may take. Here a mail has one limit for everything, and only a
//! connection whose last mail was taken is kept; whatever else happens, given up or refused, it is
//! closed. So no answer is ever taken for that of another mail.
//!
//! With STARTTLS there is no way back to a connection without TLS: a server that does not offer it
//! is not talked to, and what comes before it (`plain_stream`) is not taken for what comes after it.
//!
//! What is permanent: an address, or the mail itself, that is refused for good. A server that lets
//! nobody in, or refuses our own address, is somebody's mistake that is going to be mended, and the
//! mail is to wait for that.

mod message;
mod plain_stream;
mod session;
mod settings;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use application::ports::{Mail, MailError, MailTrouble, Mailer};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use session::{Server, Session};

pub use message::{InvalidSender, Sender};
pub use settings::{SmtpLogin, SmtpMailerError, SmtpSecurity, SmtpSettings};

/// Most connections at once.
const CONNECTIONS: usize = 4;

/// How long a connection is kept for the next mail. Servers close them after some minutes.
const KEPT: Duration = Duration::from_mins(1);

/// Sends mail by SMTP.
pub struct SmtpMailer {
    server: Server,
    sender: Sender,
    timeout: Duration,
    places: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

/// A connection whose last mail was taken.
struct Idle {
    session: Session,
    since: Instant,
}

impl SmtpMailer {
    /// One that sends as `settings` say. It connects when there is a mail to send.
    ///
    /// # Errors
    /// The settings are not safe, or a certificate cannot be used.
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpMailerError> {
        let (sender, timeout) = (settings.sender.clone(), settings.timeout);
        let server = Server::new(settings)?;
        let places = Semaphore::new(CONNECTIONS);
        Ok(Self { server, sender, timeout, places, idle: Mutex::new(Vec::new()) })
    }

    async fn deliver(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message::render(mail, &self.sender)?;
        let work = async {
            let _place = self.places.acquire().await;
            let mut session = match self.kept().await {
                Some(session) => session,
                None => self.server.connect(self.timeout).await?,
            };
            session.send(&message).await?;
            self.idle().push(Idle { session, since: Instant::now() });
            Ok(())
        };
        timeout(self.timeout, work).await.unwrap_or(Err(MailError::Temporary {
            trouble: MailTrouble::TimedOut,
            code: None,
            source: None,
        }))
    }

    /// A connection of an earlier mail on which the server still answers.
    async fn kept(&self) -> Option<Session> {
        loop {
            let mut idle = self.idle().pop()?;
            if idle.since.elapsed() > KEPT {
                // It was the youngest.
                self.idle().clear();
                return None;
            }
            // What is silent must leave time for a new one.
            let answers = timeout(self.timeout / 4, idle.session.is_alive());
            if answers.await.unwrap_or(false) {
                return Some(idle.session);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for SmtpMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        async move { self.deliver(&mail).await }.boxed()
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("server", &self.server).finish_non_exhaustive()
    }
}
