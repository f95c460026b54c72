//! How mail is sent by SMTP.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::Sender;

/// How mail is sent by SMTP.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name, which its certificate is to hold, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether there is TLS.
    pub security: SmtpSecurity,
    /// Who we are; the server may not want to know.
    pub login: Option<SmtpLogin>,
    /// Whom mail is from.
    pub sender: Sender,
    /// What we call ourselves (`EHLO`); the domain of the sender if it is absent.
    pub hello_name: Option<String>,
    /// Longest time for one mail, with everything that has to be done for it.
    pub timeout: Duration,
    /// PEM of certificates that are trusted beside those of the machine.
    pub root_certificates: Option<Vec<u8>>,
}

/// Whether there is TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// After `STARTTLS`, without which nothing is sent: usual on port 587.
    StartTls,
    /// From the first byte: usual on port 465.
    Tls,
    /// None, for a server on this machine.
    None,
}

/// Who we are to the server.
#[derive(Debug, Clone)]
pub struct SmtpLogin {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

/// Why mail cannot be sent like this.
#[derive(Debug, thiserror::Error)]
pub enum SmtpMailerError {
    /// Whoever listens on the way would read the tokens of mails.
    #[error("without TLS mail is sent to this machine only, and {host} is another one")]
    Insecure {
        /// The server.
        host: String,
    },
    /// What is called PEM of certificates holds none, or is none.
    #[error("there is no certificate in PEM that can be trusted")]
    Certificate,
    /// What we are to call ourselves would be more than a word.
    #[error("the name for EHLO is no name of a host")]
    HelloName,
    /// TLS cannot be prepared.
    #[error("cannot prepare TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SmtpSettings {
    /// Refuses what would not be safe. Certificates are looked at by
    /// [`SmtpMailer::new`](super::SmtpMailer::new).
    ///
    /// # Errors
    /// There is no TLS to another machine, or the name for EHLO is none.
    pub fn check(&self) -> Result<(), SmtpMailerError> {
        if self.security == SmtpSecurity::None && !is_this_machine(&self.host) {
            return Err(SmtpMailerError::Insecure { host: self.host.clone() });
        }
        let is_name = |name: &str| {
            let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !name.is_empty() && name.bytes().all(of_name)
        };
        if self.hello_name.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(SmtpMailerError::HelloName);
        }
        Ok(())
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, security: SmtpSecurity) -> SmtpSettings {
        SmtpSettings {
            host: host.to_owned(),
            port: 25,
            security,
            login: Some(SmtpLogin { user: "annals".into(), password: "hunter2".into() }),
            sender: "no-reply@shop.example".parse().unwrap(),
            hello_name: None,
            timeout: Duration::from_secs(1),
            root_certificates: None,
        }
    }

    #[test]
    fn without_tls_mail_goes_to_this_machine_only() {
        for host in ["127.0.0.1", "127.8.8.8", "::1", "localhost"] {
            settings(host, SmtpSecurity::None).check().unwrap();
        }
        for host in ["mail.example", "10.0.0.1", "localhost.example", "127.0.0.1.example", ""] {
            assert!(settings(host, SmtpSecurity::None).check().is_err(), "{host}");
            settings(host, SmtpSecurity::StartTls).check().unwrap();
        }
    }

    #[test]
    fn the_name_for_ehlo_is_one_word() {
        for (name, is_good) in
            [("a-1.example", true), ("a\r\nRSET", false), ("a b", false), ("", false)]
        {
            let hello_name = Some(name.to_owned());
            let settings = SmtpSettings { hello_name, ..settings("::1", SmtpSecurity::Tls) };
            assert_eq!(settings.check().is_ok(), is_good, "{name:?}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        assert!(!format!("{:?}", settings("::1", SmtpSecurity::Tls)).contains("hunter2"));
    }
}
