//! What happens twice at the same time.

use std::collections::BTreeSet;

use testkit::OidcProvider;

use super::proved;
use crate::support::{Browser, Login, Person, TestApp, provider};

async fn started() -> (OidcProvider, TestApp) {
    let mut provider = provider();
    provider.know("ada", proved(&Person::ada().email));
    let app = TestApp::with_provider(&provider.issuer()).await;
    (provider, app)
}

/// `count` logins that were begun one after another are completed all at once; answers with the users.
async fn storm(app: &TestApp, count: usize) -> BTreeSet<String> {
    let mut browser = Browser::new();
    let mut completions = Vec::new();
    for _ in 0..count {
        completions.push(app.visit(&mut browser, "ada").await);
    }
    let completing = completions.into_iter().map(|completion| {
        let nobody = app.nobody();
        tokio::spawn(async move {
            loop {
                let answer = nobody.complete(completion.clone()).await;
                // Others were faster too often: nothing was changed but at the provider.
                if answer.status != 503 {
                    return Login::of(&answer);
                }
            }
        })
    });
    let mut users = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    for login in completing.collect::<Vec<_>>() {
        let login = login.await.unwrap();
        users.insert(login.user);
        sessions.insert(login.session);
    }
    assert_eq!(sessions.len(), count);
    users
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_first_logins_one_makes_a_user() {
    let (_provider, app) = started().await;
    assert_eq!(storm(&app, 50).await.len(), 1);
    assert_eq!(app.happened("identity.user-registered").await.len(), 1);
    assert_eq!(app.happened("identity.external-identity-linked").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_one_links_the_account_of_the_address() {
    let (_provider, app) = started().await;
    let user = app.welcome(&Person::ada()).await;
    assert_eq!(storm(&app, 10).await, [user.to_string()].into());
    assert_eq!(app.happened("identity.external-identity-linked").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_one_takes_over_what_nobody_proved() {
    let (_provider, app) = started().await;
    app.register(&Person::ada()).await;
    assert_eq!(storm(&app, 10).await.len(), 1);
    assert_eq!(app.happened("identity.email-verified").await.len(), 1);
    assert_eq!(app.happened("identity.external-identity-linked").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_is_completed_once() {
    let (_provider, app) = started().await;
    let completion = app.visit(&mut Browser::new(), "ada").await;
    let completing = (0..8).map(|_| {
        let (nobody, completion) = (app.nobody(), completion.clone());
        tokio::spawn(async move { nobody.complete(completion).await })
    });
    let mut entered = 0;
    for answer in completing.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == 201 {
            entered += 1;
        } else {
            assert_eq!(answer.code(), "external-login-refused", "{answer:?}");
        }
    }
    assert_eq!((entered, app.happened("identity.session-started").await.len()), (1, 1));
}
