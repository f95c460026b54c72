//! To whom mail is sent at all.

use adapters::{SmtpLogin, SmtpMailer, SmtpMailerError, SmtpSecurity, SmtpSettings};
use application::ports::{MailError, MailTrouble, Mailer as _};
use testkit::{SinkSecurity, SmtpSink, SmtpSinkOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::{Certificate, PASSWORD, USER, encrypted, mail, mailer, plain, settings};

/// What kept a mail from being sent for now.
async fn trouble(settings: SmtpSettings) -> (MailTrouble, Option<u16>) {
    match mailer(settings).send(mail(1)).await {
        Err(MailError::Temporary { trouble, code, .. }) => (trouble, code),
        other => panic!("sent, or refused for good: {other:?}"),
    }
}

#[tokio::test]
async fn starttls_is_used_and_then_who_we_are_is_told() {
    let certificate = Certificate::make();
    let (sink, settings) = encrypted(&certificate);
    mailer(settings).send(mail(1)).await.unwrap();
    let arrived = sink.wait_for("ada@example.com", |_| true).await;
    assert!(arrived.is_encrypted);
    assert_eq!(arrived.user.as_deref(), Some(USER));
}

#[tokio::test]
async fn tls_from_the_first_byte_is_used() {
    let made = Certificate::make();
    let security = SinkSecurity::Tls { certificate: &made.pem, key: &made.key };
    let login = Some((USER, PASSWORD));
    let sink = SmtpSink::start(SmtpSinkOptions { security, login }).unwrap();
    let settings = SmtpSettings {
        login: Some(SmtpLogin { user: USER.into(), password: PASSWORD.into() }),
        root_certificates: Some(made.pem.into_bytes()),
        hello_name: Some("worker-1.shop.example".into()),
        ..settings(sink.port(), SmtpSecurity::Tls)
    };
    let strangers = SmtpSettings { root_certificates: None, ..settings.clone() };
    assert_eq!(trouble(strangers).await, (MailTrouble::Untrusted, None));
    mailer(settings).send(mail(1)).await.unwrap();
    let arrived = sink.wait_for("ada@example.com", |_| true).await;
    assert!(arrived.is_encrypted);
    assert_eq!(
        (arrived.user.as_deref(), arrived.hello.as_str()),
        (Some(USER), "worker-1.shop.example")
    );
}

#[tokio::test]
async fn a_server_without_starttls_is_told_nothing() {
    let (sink, settings) = plain();
    let settings = SmtpSettings { security: SmtpSecurity::StartTls, ..settings };
    assert_eq!(trouble(settings).await, (MailTrouble::Untrusted, None));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let certificate = Certificate::make();
    let (sink, settings) = encrypted(&certificate);
    let other = Certificate::make().pem.into_bytes();
    let other = SmtpSettings { root_certificates: Some(other), ..settings.clone() };
    assert_eq!(trouble(other).await, (MailTrouble::Untrusted, None));
    let none = SmtpSettings { root_certificates: None, ..settings };
    assert_eq!(trouble(none).await, (MailTrouble::Untrusted, None));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_certificate_with_another_name_is_refused() {
    let certificate = Certificate::of("mail.example");
    let (sink, settings) = encrypted(&certificate);
    assert_eq!(trouble(settings).await, (MailTrouble::Untrusted, None));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_no_refusal_of_the_mail() {
    let certificate = Certificate::make();
    let (sink, settings) = encrypted(&certificate);
    let password = "wrong".to_owned().into();
    let login = Some(SmtpLogin { user: USER.into(), password });
    let wrong = SmtpSettings { login, ..settings.clone() };
    assert_eq!(trouble(wrong).await, (MailTrouble::NotLetIn, Some(535)));
    let nobody = SmtpSettings { login: None, ..settings };
    assert_eq!(trouble(nobody).await, (MailTrouble::NotLetIn, Some(530)));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_ask_is_not_told_who_we_are() {
    let (_sink, settings) = plain();
    let login = Some(SmtpLogin { user: USER.into(), password: PASSWORD.into() });
    let settings = SmtpSettings { login, ..settings };
    assert_eq!(trouble(settings).await, (MailTrouble::NotLetIn, None));
}

/// Whoever sits on the line answers `STARTTLS`, and puts behind it in the same packet what the
/// server is to have said over TLS.
#[tokio::test]
async fn what_stands_behind_the_answer_to_starttls_is_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut heard = Vec::new();
        stream.write_all(b"220 mail.example\r\n").await.unwrap();
        for answer in [
            "250-mail.example\r\n250 STARTTLS\r\n",
            "220 go ahead\r\n250-mail.example\r\n250 AUTH PLAIN\r\n",
        ] {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            heard.push(line);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        // Waits for the client to give up.
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
        heard
    });
    assert_eq!(
        trouble(settings(port, SmtpSecurity::StartTls)).await,
        (MailTrouble::Untrusted, None)
    );
    assert_eq!(heard.await.unwrap(), ["EHLO shop.example\r\n", "STARTTLS\r\n"]);
}

#[test]
fn certificates_that_are_none_are_refused_at_once() {
    for pem in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let root_certificates = Some(pem.as_bytes().to_vec());
        let settings = SmtpSettings { root_certificates, ..settings(465, SmtpSecurity::Tls) };
        let refused = SmtpMailer::new(settings).unwrap_err();
        assert!(matches!(refused, SmtpMailerError::Certificate), "{refused}");
    }
}
