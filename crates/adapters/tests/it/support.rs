//! A mail server, and how it is reached.

use std::time::Duration;

use adapters::{SmtpLogin, SmtpMailer, SmtpSecurity, SmtpSettings};
use application::ports::{Mail, Recipient};
use testkit::{SinkSecurity, SmtpSink, SmtpSinkOptions};
use uuid::Uuid;

pub(crate) const USER: &str = "annals";
pub(crate) const PASSWORD: &str = "hunter2";

/// A certificate of one's own for 127.0.0.1.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn make() -> Self {
        Self::of("127.0.0.1")
    }

    pub(crate) fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self { pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    pub(crate) fn starttls(&self) -> SinkSecurity<'_> {
        SinkSecurity::StartTls { certificate: &self.pem, key: &self.key }
    }
}

/// A server without TLS, and how to reach it.
pub(crate) fn plain() -> (SmtpSink, SmtpSettings) {
    let sink = SmtpSink::start(SmtpSinkOptions::default()).unwrap();
    let settings = settings(sink.port(), SmtpSecurity::None);
    (sink, settings)
}

/// A server that asks for STARTTLS and for who we are, and how to reach it.
pub(crate) fn encrypted(certificate: &Certificate) -> (SmtpSink, SmtpSettings) {
    let login = Some((USER, PASSWORD));
    let security = certificate.starttls();
    let sink = SmtpSink::start(SmtpSinkOptions { security, login }).unwrap();
    let settings = SmtpSettings {
        login: Some(SmtpLogin { user: USER.into(), password: PASSWORD.into() }),
        root_certificates: Some(certificate.pem.clone().into_bytes()),
        ..settings(sink.port(), SmtpSecurity::StartTls)
    };
    (sink, settings)
}

pub(crate) fn settings(port: u16, security: SmtpSecurity) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".into(),
        port,
        security,
        login: None,
        sender: "Shop <no-reply@shop.example>".parse().unwrap(),
        hello_name: None,
        timeout: Duration::from_secs(20),
        root_certificates: None,
    }
}

pub(crate) fn mailer(settings: SmtpSettings) -> SmtpMailer {
    SmtpMailer::new(settings).unwrap()
}

/// The mail of this number, to `ada@example.com`.
pub(crate) fn mail(number: u128) -> Mail {
    Mail {
        message_id: Uuid::from_u128(number),
        to: Recipient { address: "ada@example.com".into(), name: None },
        subject: format!("Mail {number}"),
        text: "Your code is secret-token.\n".into(),
        html: Some("<p>Your code is secret-token.</p>".into()),
    }
}
