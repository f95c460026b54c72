//! Who sends mail, and where its links lead.

use std::fs;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use adapters::{LoggedMailer, SmtpLogin, SmtpMailer, SmtpSecurity, SmtpSettings};
use anyhow::{Context as _, bail};
use application::mail_texts::ClientUrl;
use application::ports::Mailer;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::masked;

/// Who sends mail, and where its links lead.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// What sends it.
    pub transport: Transport,
    /// The server's name, which its certificate holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its port; the usual one of `security` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Whether there is TLS.
    pub security: Security,
    /// Who we are to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of that user.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked::whole")]
    pub password: Option<SecretString>,
    /// Whom mail is from, for example `Shop <no-reply@shop.example>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What we call ourselves to the server; the domain of `from` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_name: Option<String>,
    /// The address of the application that people use, to which links of mails lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Longest time for one mail.
    pub timeout_ms: u64,
    /// PEM file of certificates that are trusted beside those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_certificate: Option<PathBuf>,
    /// Whether mail may be logged. No source of settings can say so.
    #[serde(skip)]
    is_development: bool,
}

/// What sends mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Nothing: what is to be mailed waits.
    None,
    /// The log shows it; for `annals dev` only.
    Log,
    /// A server.
    Smtp,
}

/// Whether there is TLS on the connection to the server.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// After `STARTTLS`, or nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
    /// None; for a server on this machine only.
    None,
}

impl Mail {
    /// What sends mail; none if nothing is to send it. It connects when there is a mail.
    ///
    /// # Errors
    /// The settings do not make sense, the certificate cannot be read, or mail is to be logged
    /// outside of development.
    pub fn mailer(&self) -> anyhow::Result<Option<Arc<dyn Mailer>>> {
        match self.transport {
            Transport::None => Ok(None),
            Transport::Log if self.is_development => Ok(Some(Arc::new(LoggedMailer))),
            Transport::Log => bail!(
                "`mail.transport` is `log`, which shows the tokens of mails in the log: \
                 only `annals dev` does that"
            ),
            Transport::Smtp => {
                let mut settings = self.smtp()?;
                if let Some(file) = &self.root_certificate {
                    let pem = fs::read(file).with_context(|| {
                        format!("cannot read `mail.root_certificate` {}", file.display())
                    })?;
                    settings.root_certificates = Some(pem);
                }
                let mailer = SmtpMailer::new(settings).context("mail cannot be sent like this")?;
                Ok(Some(Arc::new(mailer)))
            }
        }
    }

    /// Whether anything sends it.
    pub fn is_sent(&self) -> bool {
        self.transport != Transport::None
    }

    /// Where links of mails lead; none if nothing is to send any.
    ///
    /// # Errors
    /// It is not set, or cannot be linked to.
    pub fn client_url(&self) -> anyhow::Result<Option<ClientUrl>> {
        let url = self.base_url.as_deref().map(str::parse).transpose();
        let url = url.context("`mail.base_url` cannot be used")?;
        if self.transport == Transport::Smtp && url.is_none() {
            bail!("`mail.base_url` is not set: links of mails have to lead somewhere");
        }
        Ok(url)
    }

    /// Lets mail be logged, and has it logged unless it goes elsewhere. Its links lead to `url`
    /// unless they lead elsewhere, or to this machine if mail may not link to `url`.
    pub fn for_development(&mut self, mut url: String) {
        self.is_development = true;
        if self.transport == Transport::None {
            self.transport = Transport::Log;
        }
        if url.parse::<ClientUrl>().is_err() {
            "http://localhost".clone_into(&mut url);
        }
        self.base_url.get_or_insert(url);
    }

    pub(super) fn validate(&self) -> anyhow::Result<()> {
        if self.timeout_ms == 0 {
            bail!("`mail.timeout_ms` must not be 0");
        }
        match (&self.username, &self.password) {
            (Some(_), None) => bail!("`mail.username` is set, but `mail.password` is not"),
            (None, Some(_)) => bail!("`mail.password` is set, but `mail.username` is not"),
            _ => {}
        }
        self.client_url()?;
        if self.transport == Transport::Smtp {
            self.smtp()?.check().context("mail cannot be sent like this")?;
        }
        Ok(())
    }

    /// How to reach the server, without the certificate.
    fn smtp(&self) -> anyhow::Result<SmtpSettings> {
        let Some(host) = self.host.clone().filter(|host| !host.is_empty()) else {
            bail!("`mail.host` is not set: mail goes to a server");
        };
        let Some(from) = &self.from else {
            bail!("`mail.from` is not set: mail is from somebody");
        };
        let (security, usual_port) = match self.security {
            Security::StartTls => (SmtpSecurity::StartTls, 587),
            Security::Tls => (SmtpSecurity::Tls, 465),
            Security::None => (SmtpSecurity::None, 25),
        };
        let login = self.username.clone().zip(self.password.clone());
        Ok(SmtpSettings {
            host,
            port: self.port.map_or(usual_port, NonZeroU16::get),
            security,
            login: login.map(|(user, password)| SmtpLogin { user, password }),
            sender: from.parse().context("`mail.from` cannot be used")?,
            hello_name: self.hello_name.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            root_certificates: None,
        })
    }
}
