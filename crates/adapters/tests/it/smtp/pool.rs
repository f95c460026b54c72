//! Connections that are used again.

use std::collections::BTreeSet;

use application::ports::Mailer as _;
use futures_util::future::join_all;

use crate::support::{Certificate, encrypted, mail, mailer, plain};

#[tokio::test]
async fn mails_one_after_the_other_share_a_connection() {
    let certificate = Certificate::make();
    let (sink, settings) = encrypted(&certificate);
    let mailer = mailer(settings);
    for number in 0..5 {
        mailer.send(mail(number)).await.unwrap();
    }
    let mails = sink.mails();
    let connections: BTreeSet<_> = mails.iter().map(|mail| mail.connection).collect();
    assert_eq!((mails.len(), connections.len()), (5, 1));
    assert!(mails.iter().all(|mail| mail.is_encrypted));
}

#[tokio::test]
async fn many_mails_at_once_share_a_few() {
    let (sink, settings) = plain();
    let mailer = mailer(settings);
    let sent = join_all((0..40).map(|number| mailer.send(mail(number)))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mails = sink.mails();
    let connections: BTreeSet<_> = mails.iter().map(|mail| mail.connection).collect();
    assert_eq!(mails.len(), 40);
    assert!(connections.len() <= 4, "{connections:?}");
    let subjects: BTreeSet<_> = mails.iter().flat_map(|mail| mail.header("subject")).collect();
    assert_eq!(subjects.len(), 40, "each went once");
}

#[tokio::test]
async fn a_connection_that_died_is_replaced() {
    let (mut sink, settings) = plain();
    let mailer = mailer(settings);
    mailer.send(mail(1)).await.unwrap();
    sink.restart().unwrap();
    mailer.send(mail(2)).await.unwrap();
    assert_eq!(sink.mails().len(), 2);
}
