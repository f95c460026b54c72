//! A private mail server that keeps what it takes: the real aiosmtpd, from `PyPI`.
//!
//! It runs as a program of its own (`smtp_sink.py`), which is told by a file how to misbehave, and
//! looks at that file at each step of each mail.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext};
use crate::eventually;
use crate::instance::Instance;
use crate::lifeline::{Lifeline, Service};
use crate::port::{self, Wanted};
use crate::python::Python;

const SCRIPT: &str = include_str!("smtp_sink.py");
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A mail server of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct SmtpSink {
    port: u16,
    home: PathBuf,
    log: PathBuf,
    python: Python,
    lifeline: Option<Lifeline>,
    _instance: Instance,
}

/// What is asked of who sends mail.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmtpSinkOptions<'a> {
    /// How it is reached.
    pub security: SinkSecurity<'a>,
    /// User and password; nobody has to log in if there are none.
    pub login: Option<(&'a str, &'a str)>,
}

/// How an [`SmtpSink`] is reached. Certificate and key are PEM.
#[derive(Debug, Clone, Copy, Default)]
pub enum SinkSecurity<'a> {
    /// Without TLS, which is not even offered.
    #[default]
    None,
    /// With `STARTTLS`, without which no mail is taken.
    StartTls {
        /// Its certificate.
        certificate: &'a str,
        /// The private key.
        key: &'a str,
    },
    /// With TLS from the first byte.
    Tls {
        /// Its certificate.
        certificate: &'a str,
        /// The private key.
        key: &'a str,
    },
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArrivedMail {
    /// Of the envelope.
    pub sender: String,
    /// Of the envelope.
    pub recipients: Vec<String>,
    /// Name and value of each, decoded.
    pub headers: Vec<(String, String)>,
    /// The part that is plain text, decoded; its lines end with `\n`.
    pub text: Option<String>,
    /// The part that is HTML, likewise.
    pub html: Option<String>,
    /// The whole as it came.
    pub raw: String,
    /// Whether it came over TLS.
    pub is_encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// What the client called itself.
    pub hello: String,
    /// The port at the other end: the same for mails of one connection.
    pub connection: u16,
}

impl ArrivedMail {
    /// The values of the headers of this name, in whatever case it is written.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(it, _): &&(String, String)| it.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value.as_str())
    }
}

/// When an [`SmtpSink`] misbehaves.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpStep {
    /// At `MAIL FROM`.
    Sender,
    /// At `RCPT TO`.
    Recipient,
    /// Once the mail has come, which is not kept.
    Content,
    /// As [`SmtpStep::Content`], but the mail is kept.
    Answer,
}

/// How an [`SmtpSink`] misbehaves.
#[derive(Debug, Clone, Copy)]
pub enum Misbehaviour<'a> {
    /// It says this, for example `451 4.3.0 Later`.
    Says(&'a str),
    /// It says nothing.
    Hangs,
    /// It cuts the connection.
    Drops,
}

impl SmtpSink {
    /// Starts one.
    ///
    /// # Errors
    /// There is no python3 with pip, aiosmtpd cannot be fetched, or it does not start.
    pub fn start(options: SmtpSinkOptions<'_>) -> Result<Self, Error> {
        let python = Python::with("aiosmtpd", "1.4.6")?;
        let instance = Instance::create()?;
        let home = instance.smtp_sink();
        fs::create_dir_all(&home).doing("create directory", &home)?;
        let security = match options.security {
            SinkSecurity::None => "none",
            SinkSecurity::StartTls { certificate, key } => {
                write_certificate(&home, certificate, key)?;
                "starttls"
            }
            SinkSecurity::Tls { certificate, key } => {
                write_certificate(&home, certificate, key)?;
                "tls"
            }
        };
        let log = instance.log("smtp-sink");
        let (port, lifeline) = port::claim(Wanted::Preferably(None), |port| {
            let settings = serde_json::json!({
                "packages": python.packages(),
                "port": port,
                "security": security,
                "login": options.login,
            });
            let file = home.join("settings");
            fs::write(&file, settings.to_string()).doing("write", &file)?;
            launch(&python, &home, &log, port)
        })?;
        let lifeline = Some(lifeline);
        Ok(Self { port, home, log, python, lifeline, _instance: instance })
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything that was taken so far.
    ///
    /// # Panics
    /// The file of mails cannot be read.
    #[must_use]
    pub fn mails(&self) -> Vec<ArrivedMail> {
        let text = match fs::read_to_string(self.home.join("mails")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("read the mails: {error}"),
        };
        // The last line may be half written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).expect("a mail as JSON")).collect()
    }

    /// Waits for a mail to `address` that `is_it`, and answers the first one.
    ///
    /// # Panics
    /// None has come within 30 s.
    pub async fn wait_for(
        &self,
        address: &str,
        is_it: impl Fn(&ArrivedMail) -> bool,
    ) -> ArrivedMail {
        let what = format!("a mail to {address}");
        eventually(Duration::from_secs(30), &what, async || {
            let mails = self.mails();
            let found = mails.iter().find(|mail| mail.recipients == [address] && is_it(mail));
            found.cloned().ok_or_else(|| format!("{} others", mails.len()))
        })
        .await
    }

    /// Misbehaves at this step of each mail from now on.
    ///
    /// # Panics
    /// That cannot be written down.
    pub fn misbehave(&self, step: SmtpStep, how: Misbehaviour<'_>) {
        let answer = if let Misbehaviour::Says(answer) = how { Some(answer) } else { None };
        let drops = matches!(how, Misbehaviour::Drops);
        let wanted = serde_json::json!({ "step": step, "answer": answer, "drops": drops });
        let draft = self.home.join("misbehaviour.draft");
        fs::write(&draft, wanted.to_string())
            .and_then(|()| fs::rename(&draft, self.home.join("misbehaviour")))
            .expect("write down how to misbehave");
    }

    /// Takes every mail again.
    pub fn behave(&self) {
        let _ = fs::remove_file(self.home.join("misbehaviour"));
    }

    /// Kills it, and starts it again on the same port; what it has taken stays.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill9();
        let (_, lifeline) = port::claim(Wanted::Exactly(self.port), |port| {
            launch(&self.python, &self.home, &self.log, port)
        })?;
        self.lifeline = Some(lifeline);
        Ok(())
    }

    /// Ends it with SIGKILL. [`SmtpSink::restart`] brings it back.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }
}

fn write_certificate(home: &Path, certificate: &str, key: &str) -> Result<(), Error> {
    for (name, text) in [("certificate", certificate), ("key", key)] {
        let file = home.join(name);
        fs::write(&file, text).doing("write", &file)?;
    }
    Ok(())
}

fn launch(python: &Python, home: &Path, log: &Path, port: u16) -> Result<Lifeline, Error> {
    let mut lifeline = Lifeline::spawn(Service {
        name: "aiosmtpd",
        program: python.program(),
        arguments: vec!["-uBc".into(), SCRIPT.into(), home.into()],
        stop_signal: "TERM",
        account: None,
        log,
    })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    lifeline.await_ready(READY_LIMIT, || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    })?;
    Ok(lifeline)
}
