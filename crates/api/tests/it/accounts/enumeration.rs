//! Who has an account is told to nobody: answers are compared whole.

use application::identity::Purpose;
use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Answer, LIMIT, Person, TestApp};

const UNKNOWN: &str = "nobody@example.org";

/// Waits until there were so many events of a type.
async fn happens(app: &TestApp, event_type: &str, count: usize) {
    eventually(LIMIT, event_type, async || {
        let happened = app.happened(event_type).await;
        if happened.len() == count { Ok(()) } else { Err(happened) }
    })
    .await;
}

#[tokio::test]
async fn registering_tells_nothing() {
    let app = TestApp::with_doors().await;
    let user = app.welcome(&Person::ada()).await;
    let register = async |email: &str, password: &str| {
        let body = json!({"email": email, "name": "Eve", "password": password});
        app.nobody().post("/v1/users", body).await
    };
    let fresh = register(UNKNOWN, "a crow on the old mill").await;
    assert_eq!(fresh.status, 202);
    assert_eq!(register("ada@example.org", "a crow on the old mill").await, fresh);
    assert_eq!(register("ADA@Example.ORG", "a crow on the old mill").await, fresh);
    let told = app.happened("identity.registration-repeated").await;
    assert_eq!(told, [json!({"user_id": user}), json!({"user_id": user})]);
    assert_eq!(app.happened("identity.user-registered").await.len(), 2);

    let weak = register("somebody@example.org", "password1234").await;
    assert_eq!(weak.code(), "weak-password");
    assert_eq!(register("ada@example.org", "password1234").await, weak);
    assert_eq!(app.happened("identity.registration-repeated").await.len(), 2);

    // Nothing was changed for who has the account.
    app.log_in(&Person::ada()).await;
    let eve = Person { password: "a crow on the old mill".to_owned(), ..Person::ada() };
    assert_eq!(app.try_log_in(&eve).await.code(), "login-failed");
}

/// The name of a command would tell whether the first one of that name opened an account.
#[tokio::test]
async fn a_key_does_not_tell_either() {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    let register = async |key: &str, email: &str| {
        let body = json!({"email": email, "name": "Eve", "password": "a crow on the old mill"});
        app.post_as(key, "/v1/users", body.to_string()).await
    };
    let mut answers = Vec::new();
    for (key, email) in [("1", UNKNOWN), ("2", "ada@example.org")] {
        for again in [email, &format!("{key}@example.org")] {
            answers.push(register(key, again).await);
        }
    }
    let [first, ..] = &answers[..] else { panic!("no answers") };
    assert_eq!(first.status, 202);
    for answer in &answers {
        assert_eq!(answer, first);
    }
}

#[tokio::test]
async fn asking_for_mail_tells_nothing() {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    app.register(&Person::bob()).await;
    let ask = async |address: &str, email: &str| {
        app.nobody().post(address, json!({"email": email})).await
    };
    for address in ["/v1/password-resets/requests", "/v1/email-verifications/requests"] {
        let unknown = ask(address, UNKNOWN).await;
        assert_eq!(unknown.status, 202);
        assert_eq!(ask(address, "ada@example.org").await, unknown);
        assert_eq!(ask(address, "Bob@example.org").await, unknown);
    }
    happens(&app, "identity.password-reset-requested", 2).await;
    happens(&app, "identity.verification-requested", 1).await;
    let bob = app.user("bob@example.org").await;
    let expected = [json!({"user_id": bob})];
    assert_eq!(app.happened("identity.verification-requested").await, expected);
    // However often it is asked for, there is an end to what is mailed.
    let mut mailed = 0;
    while app.mailed(bob, Purpose::ResetPassword).await.is_some() {
        mailed += 1;
    }
    assert_eq!(mailed, 5);
}

#[tokio::test]
async fn a_login_tells_nothing() {
    let app = TestApp::with_doors().await;
    let ada = app.welcome(&Person::ada()).await;
    let bob = app.welcome(&Person::bob()).await;
    let closed = Person::new("carol@example.org", "a crow on the old mill");
    app.register(&closed).await;
    let carol = app.user(&closed.email).await;
    let operator = app.operator().await;
    let suspended = operator.put(&format!("/v1/users/{bob}/suspension"), None).await;
    assert_eq!(suspended.status, 204);
    let shut = operator.put(&format!("/v1/users/{carol}/closure"), None).await;
    assert_eq!(shut.status, 204);

    let wrong =
        |person: Person| Person { password: "something else entirely".to_owned(), ..person };
    let unknown: Answer = app.try_log_in(&Person::new(UNKNOWN, "something else entirely")).await;
    assert_eq!((unknown.status, unknown.code()), (401, "login-failed"));
    for (why, person) in [
        ("wrong password", wrong(Person::ada())),
        ("suspended", Person::bob()),
        ("suspended, wrong password", wrong(Person::bob())),
        ("closed and never proved", closed.clone()),
        ("closed, wrong password", wrong(closed)),
    ] {
        assert_eq!(app.try_log_in(&person).await, unknown, "{why}");
    }
    for _ in 0..5 {
        assert_eq!(app.try_log_in(&wrong(Person::ada())).await, unknown);
        assert_eq!(app.try_log_in(&Person::new(UNKNOWN, "yet another wrong one")).await, unknown);
    }
    assert_eq!(app.try_log_in(&Person::ada()).await, unknown, "locked");
    assert_eq!(app.try_log_in(&Person::new(UNKNOWN, "yet another wrong one")).await, unknown);
    let locked: Vec<Value> = sqlx::query_scalar(
        "SELECT to_jsonb(t) -> 'count' FROM identity.failures AS t WHERE count >= 5 AND count < 50",
    )
    .fetch_all(&app.pool())
    .await
    .unwrap();
    assert!(locked.len() >= 2, "who is unknown is counted as well: {locked:?}");
    assert!(app.identity().user(ada).await.unwrap().is_some());
}
