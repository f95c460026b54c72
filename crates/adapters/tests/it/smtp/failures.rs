//! What is tried again, and what is not.

use std::time::{Duration, Instant};

use adapters::{SmtpSecurity, SmtpSettings};
use application::ports::{Mail, MailError, MailTrouble, Mailer as _, Recipient};
use testkit::{Line, Misbehaviour, SmtpStep};

use crate::support::{mail, mailer, plain, settings};

/// What an error is, in short.
fn told(outcome: Result<(), MailError>) -> (Option<MailTrouble>, Option<u16>) {
    let error = outcome.unwrap_err();
    let shown = format!("{error:?} {error} {:?}", std::error::Error::source(&error));
    assert!(!shown.contains("ada@") && !shown.contains("secret"), "{shown}");
    match error {
        MailError::Temporary { trouble, code, .. } => (Some(trouble), code),
        MailError::Permanent { code } => (None, code),
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_told_from_what_is_refused_for_now() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    let not_taken = Some(MailTrouble::NotTaken);
    for (step, answer, expected) in [
        (SmtpStep::Recipient, "451 4.3.0 <ada@example.com>: later", (not_taken, Some(451))),
        (SmtpStep::Recipient, "550 5.1.1 <ada@example.com>: unknown", (None, Some(550))),
        (SmtpStep::Recipient, "530 5.7.0 Who are you?", (Some(MailTrouble::NotLetIn), Some(530))),
        (SmtpStep::Recipient, "421 4.3.2 Closing", (not_taken, Some(421))),
        (SmtpStep::Content, "452 4.3.1 No room for secret-token", (not_taken, Some(452))),
        (SmtpStep::Content, "554 5.7.1 secret-token is spam", (None, Some(554))),
        // Our own address is ours to mend.
        (SmtpStep::Sender, "550 5.7.1 Not you", (not_taken, Some(550))),
        (SmtpStep::Sender, "451 4.7.1 Later", (not_taken, Some(451))),
    ] {
        sink.misbehave(step, Misbehaviour::Says(answer));
        assert_eq!(told(mailer.send(mail(1)).await), expected, "{answer}");
    }
    assert!(sink.mails().is_empty());
    sink.behave();
    mailer.send(mail(1)).await.unwrap();
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn an_address_that_no_server_of_before_takes_is_refused_for_good() {
    let (sink, settings) = plain();
    let to = Recipient { address: "größe@example.com".into(), name: None };
    let outcome = mailer(settings).send(Mail { to, ..mail(1) }).await;
    assert_eq!(told(outcome), (None, None));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit() {
    let (sink, settings) = plain();
    let settings = SmtpSettings { timeout: Duration::from_secs(1), ..settings };
    let mailer = mailer(settings.clone());
    for step in [SmtpStep::Sender, SmtpStep::Recipient, SmtpStep::Content, SmtpStep::Answer] {
        sink.misbehave(step, Misbehaviour::Hangs);
        let start = Instant::now();
        assert_eq!(told(mailer.send(mail(1)).await), (Some(MailTrouble::TimedOut), None));
        assert!(start.elapsed() >= Duration::from_secs(1), "{step:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{step:?}");
    }
    sink.behave();

    // A server that takes the connection and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mute = crate::support::mailer(SmtpSettings { port, ..settings });
    assert_eq!(told(mute.send(mail(1)).await), (Some(MailTrouble::TimedOut), None));
}

/// A mail that somebody gave up waiting for leaves nothing behind that the next one meets.
#[tokio::test]
async fn a_mail_that_was_given_up_does_not_harm_the_next() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    mailer.send(mail(1)).await.unwrap();
    sink.misbehave(SmtpStep::Content, Misbehaviour::Hangs);
    for number in 2..5 {
        let given_up = tokio::time::timeout(Duration::from_millis(300), mailer.send(mail(number)));
        assert!(given_up.await.is_err());
    }
    sink.behave();
    mailer.send(mail(5)).await.unwrap();
    let mails = sink.mails();
    let subjects: Vec<_> = mails.iter().flat_map(|mail| mail.header("subject")).collect();
    assert_eq!(subjects, ["Mail 1", "Mail 5"]);
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_is_sent_again_under_the_same_id() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    sink.misbehave(SmtpStep::Answer, Misbehaviour::Drops);
    assert_eq!(told(mailer.send(mail(7)).await), (Some(MailTrouble::Lost), None));
    sink.behave();
    mailer.send(mail(7)).await.unwrap();
    mailer.send(mail(8)).await.unwrap();
    let ids = sink.mails();
    let ids: Vec<_> = ids.iter().map(|mail| mail.header("message-id").next().unwrap()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn a_connection_that_falls_silent_or_is_cut_is_noticed() {
    let (sink, settings) = plain();
    let line = Line::to("127.0.0.1", sink.port()).await;
    let timeout = Duration::from_secs(4);
    let mailer = mailer(SmtpSettings { port: line.port(), timeout, ..settings });
    mailer.send(mail(1)).await.unwrap();
    line.fall_silent();
    mailer.send(mail(2)).await.unwrap();
    line.cut();
    mailer.send(mail(3)).await.unwrap();
    assert_eq!(sink.mails().len(), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let unreachable = Some(MailTrouble::Unreachable);
    let (mut sink, known) = plain();
    sink.kill9();
    assert_eq!(told(mailer(known.clone()).send(mail(1)).await), (unreachable, None));
    let nowhere = SmtpSettings { host: "mail.invalid".into(), ..settings(25, SmtpSecurity::Tls) };
    assert_eq!(told(mailer(nowhere).send(mail(1)).await), (unreachable, None));
    sink.restart().unwrap();
    mailer(known).send(mail(1)).await.unwrap();
}
