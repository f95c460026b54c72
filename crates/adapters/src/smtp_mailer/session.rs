//! One connection to the server, and what its answers mean.

use std::fmt;
use std::io;
use std::time::Duration;

use application::ports::{MailError, MailTrouble};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use secrecy::ExposeSecret as _;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::message::Rendered;
use super::plain_stream::PlainStream;
use super::{SmtpMailerError, SmtpSecurity, SmtpSettings};

/// What a server answers for good that lets nobody in: RFC 4954.
const NOT_LET_IN: [u16; 4] = [530, 534, 535, 538];

/// Where a server is, and how it is talked to.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: Option<(SmtpSecurity, TlsParameters)>,
    credentials: Option<Credentials>,
    hello: ClientId,
}

impl Server {
    pub(super) fn new(settings: SmtpSettings) -> Result<Self, SmtpMailerError> {
        settings.check()?;
        let hello = settings.hello_name.as_deref().unwrap_or(settings.sender.domain());
        let hello = ClientId::Domain(hello.to_owned());
        let tls = match settings.security {
            SmtpSecurity::None => None,
            security => Some((security, tls(&settings)?)),
        };
        let credentials = settings
            .login
            .map(|login| Credentials::new(login.user, login.password.expose_secret().to_owned()));
        let SmtpSettings { host, port, .. } = settings;
        Ok(Self { host, port, tls, credentials, hello })
    }

    /// Connects and logs in. No address of several gets more than a third of `limit`.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Session, MailError> {
        let mut connection = self.open(limit / 3).await?;
        if let Some(credentials) = &self.credentials {
            let entered = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            entered.map_err(|error| match error.status() {
                None if error.is_client() => trouble(MailTrouble::NotLetIn, &error),
                None => trouble(MailTrouble::Lost, &error),
                Some(_) => trouble(MailTrouble::NotLetIn, &error),
            })?;
        }
        Ok(Session { connection })
    }

    /// A connection, with TLS if there has to be.
    async fn open(&self, limit: Duration) -> Result<AsyncSmtpConnection, MailError> {
        let Some((security, tls)) = &self.tls else {
            let stream = self.reach(limit).await?;
            let greeted =
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
            return greeted.await.map_err(|error| before_mail(MailTrouble::Unreachable, &error));
        };
        if *security == SmtpSecurity::Tls {
            let server = (self.host.as_str(), self.port);
            let tls = Some(tls.clone());
            let greeted =
                AsyncSmtpConnection::connect_tokio1(server, Some(limit), &self.hello, tls, None);
            return greeted.await.map_err(|error| before_mail(MailTrouble::Unreachable, &error));
        }
        let stream = Box::new(PlainStream::new(self.reach(limit).await?));
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &self.hello)
            .await
            .map_err(|error| before_mail(MailTrouble::Unreachable, &error))?;
        // Without the offer this fails, and so it must: who took it away reads along.
        let encrypted = connection.starttls(tls.clone(), &self.hello).await;
        encrypted.map_err(|error| before_mail(MailTrouble::Untrusted, &error))?;
        Ok(connection)
    }

    async fn reach(&self, limit: Duration) -> Result<TcpStream, MailError> {
        let unreachable = |error: io::Error| MailError::Temporary {
            trouble: MailTrouble::Unreachable,
            code: None,
            source: Some(Box::new(error)),
        };
        let server = (self.host.as_str(), self.port);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host(server).await.map_err(unreachable)? {
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(unreachable(last))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        f.debug_struct("Server").field("host", host).field("port", port).finish_non_exhaustive()
    }
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, SmtpMailerError> {
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.root_certificates {
        // Of a text without any, lettre makes a certificate that trusts nobody.
        let begin = b"-----BEGIN CERTIFICATE-----";
        if !pem.windows(begin.len()).any(|part| part == begin) {
            return Err(SmtpMailerError::Certificate);
        }
        let roots = Certificate::from_pem(pem).map_err(|_| SmtpMailerError::Certificate)?;
        tls = tls.add_root_certificate(roots);
    }
    tls.build().map_err(|error| match settings.root_certificates {
        Some(_) => SmtpMailerError::Certificate,
        None => SmtpMailerError::Tls(Box::new(error)),
    })
}

/// A connection over which mails go, one after the other.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
}

impl Session {
    /// Whether the server still answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.connection.test_connected().await
    }

    /// Hands over one mail. After an error the connection is of no use.
    pub(super) async fn send(&mut self, mail: &Rendered) -> Result<(), MailError> {
        let mut options = Vec::new();
        if !mail.to.user().is_ascii() {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(MailError::Permanent { code: None });
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        let from = Mail::new(Some(mail.from.clone()), options);
        self.connection.command(from).await.map_err(|error| about_us(&error))?;
        let to = Rcpt::new(mail.to.clone(), Vec::new());
        self.connection.command(to).await.map_err(|error| about_mail(&error))?;
        self.connection.command(Data).await.map_err(|error| about_mail(&error))?;
        self.connection.message(&mail.bytes).await.map_err(|error| about_mail(&error))?;
        Ok(())
    }
}

/// What went wrong before the server knew of a mail, so that its words can be shown.
fn before_mail(usual: MailTrouble, error: &Error) -> MailError {
    let code = error.status().map(u16::from);
    // The errors of lettre repeat what they come from; only that is told.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let io = cause.downcast_ref::<io::Error>();
    // What is wrong with a certificate, or with what should be TLS.
    let is_tls = io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData);
    let trouble = if is_tls { MailTrouble::Untrusted } else { usual };
    MailError::Temporary { trouble, code, source: Some(cause.to_string().into()) }
}

/// What an answer means to a command that says who we are.
fn about_us(error: &Error) -> MailError {
    match error.status().map(u16::from) {
        None => trouble(MailTrouble::Lost, error),
        Some(code) if NOT_LET_IN.contains(&code) => trouble(MailTrouble::NotLetIn, error),
        Some(_) => trouble(MailTrouble::NotTaken, error),
    }
}

/// What an answer means to a command that says whom the mail is for, or what is in it.
fn about_mail(error: &Error) -> MailError {
    let code = error.status().map(u16::from);
    match code {
        Some(code) if error.is_permanent() && !NOT_LET_IN.contains(&code) => {
            MailError::Permanent { code: Some(code) }
        }
        _ => about_us(error),
    }
}

/// Nothing of what the server said but its code: it may have repeated the address.
fn trouble(trouble: MailTrouble, error: &Error) -> MailError {
    MailError::Temporary { trouble, code: error.status().map(u16::from), source: None }
}
