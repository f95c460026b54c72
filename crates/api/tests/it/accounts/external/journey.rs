//! From a page of the client to a session, and back the next day.

use application::identity::Purpose;
use serde_json::json;

use super::proved;
use crate::support::{Browser, Device, Login, PROVIDER, Person, TestApp, provider};

#[tokio::test]
async fn who_is_new_comes_in_and_is_the_same_the_next_time() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let offered = app.nobody().get("/v1/sessions/external").await;
    assert_eq!(offered.body, json!({"items": [{"name": PROVIDER, "title": "Elsewhere"}]}));

    let mut browser = Browser::new();
    let completion = app.visit(&mut browser, "ada").await;
    let first = Login::of(&app.nobody().complete(completion).await);
    let me = app.as_user(&first.access).get("/v1/me").await;
    assert_eq!(me.status, 200, "{me:?}");
    assert_eq!(me.body["email"], "ada@example.org");
    assert_eq!(me.body["is_verified"], true);
    assert_eq!(me.body["name"], "Ada of Elsewhere");
    Login::of(&app.refresh(&first.refresh).await);

    // The provider knows her browser, and this service its identity, whatever her address is by now.
    provider.know("ada", proved("ada@other.example"));
    let completion = app.visit(&mut browser, "ada").await;
    let second = Login::of(&app.nobody().complete(completion).await);
    assert_eq!(second.user, first.user);
    assert_ne!(second.session, first.session);
    assert_eq!(app.happened("identity.user-registered").await.len(), 1);
    assert_eq!(app.happened("identity.external-identity-linked").await.len(), 1);
}

/// There is no password, so none is right; who wants one gets it by mail.
#[tokio::test]
async fn who_came_from_elsewhere_chooses_a_password_by_mail() {
    let mut provider = provider();
    provider.know("ada", proved(&Person::ada().email));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let login = Login::of(&app.come_in("ada").await);
    assert_eq!(app.try_log_in(&Person::ada()).await.code(), "login-failed");
    let user = app.user(&Person::ada().email).await;
    let token = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": token, "password": Person::ada().password});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.status, 204);
    assert_eq!(app.log_in(&Person::ada()).await.user, login.user);
    assert_eq!(Login::of(&app.come_in("ada").await).user, login.user);
}

#[tokio::test]
async fn who_has_proved_the_address_here_comes_in_to_that_account() {
    let mut provider = provider();
    provider.know("ada", proved("ADA@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let user = app.welcome(&Person::ada()).await;
    let before = app.log_in(&Person::ada()).await;
    let login = Login::of(&app.come_in("ada").await);
    assert_eq!(login.user, user.to_string());
    app.log_in(&Person::ada()).await;
    Login::of(&app.refresh(&before.refresh).await);
}

/// Somebody has opened an account with an address that is another's, and waits for its owner to come
/// in: the password that was chosen lets nobody in, and what was mailed proves nothing any more.
#[tokio::test]
async fn an_account_that_waits_for_the_owner_of_its_address_is_taken_over() {
    let mut provider = provider();
    provider.know("ada", proved(&Person::ada().email));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let mallory = Person::new(&Person::ada().email, "mallory was here before");
    assert_eq!(app.register(&mallory).await.status, 202);
    let user = app.user(&mallory.email).await;
    let mailed = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    let reset = app.mailed(user, Purpose::ResetPassword).await.unwrap();

    let login = Login::of(&app.come_in("ada").await);
    assert_eq!(login.user, user.to_string(), "one address is one user");
    let me = app.as_user(&login.access).get("/v1/me").await;
    assert_eq!(
        (&me.body["is_verified"], &me.body["name"]),
        (&json!(true), &json!("Ada of Elsewhere"))
    );
    assert_eq!(app.try_log_in(&mallory).await.code(), "login-failed");
    let proof = json!({"token": mailed});
    assert_eq!(app.nobody().post("/v1/email-verifications", proof).await.code(), "token-refused");
    let body = json!({"token": reset, "password": "mallory will be here again"});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.code(), "token-refused");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.passwords")
        .fetch_one(&app.pool())
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

/// Whoever stands for somebody elsewhere does not stand for the second factor here.
#[tokio::test]
async fn who_has_a_second_factor_proves_it_here_as_well() {
    let mut provider = provider();
    provider.know("ada", proved(&Person::ada().email));
    let app = TestApp::with_provider(&provider.issuer()).await;
    app.welcome(&Person::ada()).await;
    let me = app.as_user(&app.log_in(&Person::ada()).await.access);
    let (_, codes) = Device::enrolled(&app, &me, &Person::ada()).await;
    let mut browser = Browser::new();
    let completion = app.visit(&mut browser, "ada").await;
    let refused = app.nobody().complete(completion).await;
    assert_eq!((refused.status, refused.code()), (401, "second-factor-required"), "{refused:?}");
    for (code, outcome) in [("nothing-of-ours", 401), (&*codes[0], 201), (&*codes[0], 401)] {
        let mut completion = app.visit(&mut browser, "ada").await;
        completion["second_factor"] = code.into();
        let answer = app.nobody().complete(completion).await;
        assert_eq!(answer.status, outcome, "{code}: {answer:?}");
    }
    assert_eq!(
        app.happened("identity.external-identity-linked").await.len(),
        1,
        "with the session"
    );
}
