//! Who does not come in.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::OidcAccount;

use super::proved;
use crate::support::{Begun, Browser, Login, PROVIDER, Person, REDIRECT, TestApp, provider};

#[tokio::test]
async fn what_was_not_begun_or_is_over_is_not_completed() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let nobody = app.nobody();
    let good = app.visit(&mut Browser::new(), "ada").await;
    let other = nobody.begin().await;
    // Somebody else's browser is made to complete what was begun here: it has another binding.
    for (field, value) in [
        ("state", json!("l8F0rH2cW1pN6yq3TzX4vB7mK9sJ5dQeRaGuYiOhPbM")),
        ("state", json!(other.state)),
        ("binding", json!(other.binding)),
        ("binding", json!("Zk3nVt7Xr1QwLm9PyB5sDj2Hc8FgAe6UoKiTxRvNqWE")),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let answer = nobody.complete(wrong).await;
        assert_eq!((answer.status, answer.code()), (422, "external-login-refused"), "{field}");
    }
    // The code of one login does not complete another: the provider has another challenge for it.
    let mut injected = good.clone();
    injected["state"] = json!(other.state);
    injected["binding"] = json!(other.binding);
    assert_eq!(nobody.complete(injected).await.code(), "external-login-refused");
    assert_eq!(app.happened("identity.session-started").await.len(), 0);

    let good = app.visit(&mut Browser::new(), "ada").await;
    let late = app.visit(&mut Browser::new(), "ada").await;
    Login::of(&nobody.complete(good.clone()).await);
    assert_eq!(nobody.complete(good).await.code(), "external-login-refused", "again");
    app.pass(TimeDelta::minutes(10)).await;
    assert_eq!(nobody.complete(late).await.code(), "external-login-refused", "too late");
    assert_eq!(app.happened("identity.session-started").await.len(), 1);
}

/// Who gives a code has to say who it is where it always does (RFC 9207).
#[tokio::test]
async fn the_code_of_another_issuer_is_not_sent_to_this_one() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let good = app.visit(&mut Browser::new(), "ada").await;
    for issuer in [json!("https://other.example"), Value::Null] {
        let mut mixed = good.clone();
        mixed["iss"] = issuer;
        let answer = app.nobody().complete(mixed).await;
        assert_eq!((answer.status, answer.code()), (502, "provider-untrusted"));
    }
    Login::of(&app.nobody().complete(good).await);
}

#[tokio::test]
async fn an_address_that_nobody_vouches_for_links_nothing() {
    let mut provider = provider();
    let app = TestApp::with_provider(&provider.issuer()).await;
    app.welcome(&Person::ada()).await;
    let email = Some(Person::ada().email);
    for (name, account) in [
        ("false", OidcAccount { email_verified: Some(false), ..proved("ada@example.org") }),
        ("silent", OidcAccount { email, ..OidcAccount::default() }),
        ("nameless", OidcAccount::default()),
        ("odd", proved("no address")),
    ] {
        provider.know(name, account);
        let answer = app.come_in(name).await;
        assert_eq!((answer.status, answer.code()), (403, "address-not-vouched"), "{name}");
    }
    assert_eq!(app.happened("identity.user-registered").await.len(), 1);
    assert_eq!(app.happened("identity.external-identity-linked").await.len(), 0);
}

#[tokio::test]
async fn who_is_kept_out_here_is_not_let_in_from_there() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    provider.know("bob", proved("bob@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let operator = app.operator().await;
    let ada = Login::of(&app.come_in("ada").await).user;
    // Bob has never come in from there.
    let bob = app.welcome(&Person::bob()).await;
    for (user, name) in [(ada, "ada"), (bob.to_string(), "bob")] {
        let suspension = format!("/v1/users/{user}/suspension");
        assert_eq!(operator.put(&suspension, None).await.status, 204);
        let answer = app.come_in(name).await;
        assert_eq!((answer.status, answer.code()), (401, "login-failed"), "{name}");
        assert_eq!(operator.delete(&suspension).await.status, 204);
        Login::of(&app.come_in(name).await);
        assert_eq!(operator.put(&format!("/v1/users/{user}/closure"), None).await.status, 204);
        assert_eq!(app.come_in(name).await.code(), "login-failed", "{name}");
    }
}

#[tokio::test]
async fn nothing_is_begun_elsewhere_than_it_is_allowed() {
    let provider = provider();
    let app = TestApp::with_provider(&provider.issuer()).await;
    let nobody = app.nobody();
    let address = format!("/v1/sessions/external/{PROVIDER}");
    for redirect in ["https://evil.example/in", "https://shop.example/in/", "", "/in"] {
        let answer = nobody.post(&address, json!({"redirect_uri": redirect})).await;
        assert_eq!(answer.code(), "invalid-body", "{redirect}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/redirect_uri");
    }
    let body = json!({"redirect_uri": REDIRECT});
    assert_eq!(nobody.post("/v1/sessions/external/nobody", body.clone()).await.code(), "not-found");
    let odd = nobody.post("/v1/sessions/external/No%20body", body.clone()).await;
    assert_eq!(odd.code(), "invalid-parameter");
    // Where there are no providers at all.
    let app = TestApp::with_doors().await;
    assert_eq!(app.nobody().post(&address, body).await.code(), "not-found");
    assert_eq!(app.nobody().get("/v1/sessions/external").await.body, json!({"items": []}));
}

#[tokio::test]
async fn a_provider_that_is_away_keeps_its_own_users_out_and_nobody_else() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    app.welcome(&Person::bob()).await;
    provider.kill9();
    let body = json!({"redirect_uri": REDIRECT});
    let address = format!("/v1/sessions/external/{PROVIDER}");
    let answer = app.nobody().post(&address, body.clone()).await;
    assert_eq!((answer.status, answer.code()), (503, "provider-unavailable"));
    assert_eq!(answer.headers["retry-after"], "1");
    app.log_in(&Person::bob()).await;
    provider.restart().unwrap();
    let begun = Begun::of(&app.nobody().post(&address, body).await);
    let back: BTreeMap<_, _> = Browser::new().log_in(&begun.address, "ada", REDIRECT).await;
    app.keep_time().await;
    provider.kill9();
    let answer = app.nobody().complete(begun.completion(&back)).await;
    assert_eq!((answer.status, answer.code()), (503, "provider-unavailable"));
    assert_eq!(app.happened("identity.user-registered").await.len(), 1, "only Bob");
    provider.restart().unwrap();
    Login::of(&app.come_in("ada").await);
}
