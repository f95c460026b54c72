//! What of a mail arrives.

use application::ports::{Mail, Mailer as _, Recipient};

use crate::support::{mail, mailer, plain};

/// Whatever somebody may have chosen as a name or a subject.
const EVIL: &str = "Ada\r\nBcc: all@evil.example\r\n\r\n<p>Hello</p>\r\n.\r\nQUIT\r\n\u{2028}\0";

#[tokio::test]
async fn both_forms_arrive_with_what_mailboxes_ask_for() {
    let (sink, settings) = plain();
    mailer(settings).send(mail(1)).await.unwrap();
    let arrived = sink.wait_for("ada@example.com", |_| true).await;
    assert_eq!(
        (arrived.sender.as_str(), arrived.hello.as_str()),
        ("no-reply@shop.example", "shop.example")
    );
    // Whatever a server takes for the end of the last line is one.
    assert_eq!(arrived.text.as_deref().map(str::trim_end), Some("Your code is secret-token."));
    assert_eq!(
        arrived.html.as_deref().map(str::trim_end),
        Some("<p>Your code is secret-token.</p>")
    );
    for (name, value) in [
        ("from", "Shop <no-reply@shop.example>"),
        ("to", "ada@example.com"),
        ("subject", "Mail 1"),
        ("message-id", "<00000000-0000-0000-0000-000000000001@shop.example>"),
        ("auto-submitted", "auto-generated"),
        ("mime-version", "1.0"),
    ] {
        assert_eq!(arrived.header(name).collect::<Vec<_>>(), [value], "{name}");
    }
    assert_eq!(arrived.header("date").count(), 1);
    assert!(arrived.header("content-type").all(|kind| kind.starts_with("multipart/alternative")));
}

#[tokio::test]
async fn other_letters_than_those_of_ascii_arrive() {
    let (sink, settings) = plain();
    let sender = "Käse & Brot <no-reply@shop.example>".parse().unwrap();
    let mailer = mailer(adapters::SmtpSettings { sender, ..settings });
    let long = "Bestätigen Sie bitte Ihre Adresse für “Käse & Brot” — 確認してください ".repeat(4);
    let sent = Mail {
        to: Recipient {
            address: "ada@bücher.example".into(),
            name: Some("Ada “Løvelace”, 愛田".into()),
        },
        subject: long.trim().to_owned(),
        text: format!("{long}\n.\n..\n"),
        html: None,
        ..mail(2)
    };
    mailer.send(sent).await.unwrap();
    let arrived = sink.wait_for("ada@xn--bcher-kva.example", |_| true).await;
    assert!(arrived.raw.is_ascii());
    assert!(arrived.raw.lines().all(|line| line.len() <= 998), "{}", arrived.raw);
    assert_eq!(arrived.header("subject").collect::<Vec<_>>(), [long.trim()]);
    let to: Vec<_> = arrived.header("to").collect();
    assert_eq!(to, ["\"Ada “Løvelace”, 愛田\" <ada@xn--bcher-kva.example>"]);
    assert!(arrived.header("from").all(|from| from.contains("Käse & Brot")));
    assert_eq!(arrived.text.unwrap().trim_end(), format!("{long}\n.\n.."));
    assert_eq!(arrived.html, None);
}

#[tokio::test]
async fn no_name_and_no_subject_adds_a_header_or_a_command() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    let plain = mail(3);
    mailer.send(plain.clone()).await.unwrap();
    let to = Recipient { name: Some(EVIL.into()), ..plain.to.clone() };
    mailer.send(Mail { to, subject: EVIL.into(), ..plain }).await.unwrap();
    let mails = sink.mails();
    let [harmless, evil] = mails.as_slice() else { panic!("{mails:?}") };
    let names = |mail: &testkit::ArrivedMail| {
        mail.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(evil), names(harmless), "{}", evil.raw);
    assert_eq!(evil.recipients, ["ada@example.com"]);
    assert_eq!(evil.text, harmless.text);
    let subject = evil.header("subject").next().unwrap();
    assert!(subject.starts_with("Ada") && !subject.contains(['\r', '\n', '\0']), "{subject:?}");
}

#[tokio::test]
async fn what_is_text_ends_no_mail() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    let text = "one\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n..\n.\rtwo\n";
    mailer.send(Mail { text: text.into(), html: None, ..mail(4) }).await.unwrap();
    mailer.send(mail(5)).await.unwrap();
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    let arrived = mails[0].text.as_deref().unwrap();
    assert_eq!(arrived.trim_end(), "one\n.\nMAIL FROM:<evil@evil.example>\n..\n.\ntwo");
    assert!(!mails[0].raw.replace("\r\n", "").contains(['\r', '\n']), "{:?}", mails[0].raw);
}
