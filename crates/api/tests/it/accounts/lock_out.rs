//! Who fails too often waits: the account, and the network address.

use std::net::IpAddr;

use api::forwarded::ClientAddress;
use application::identity::Purpose;
use axum::http::Method;
use serde_json::json;

use crate::support::{Answer, Person, TestApp};

/// How many failures in a row an account has before the next is waited for.
const OF_ACCOUNT: usize = 5;

/// The same of an address.
const OF_ADDRESS: usize = 50;

fn wrong(person: &Person) -> Person {
    Person { password: "something else entirely".to_owned(), ..person.clone() }
}

async fn fails(app: &TestApp, person: &Person, times: usize) {
    for _ in 0..times {
        assert_eq!(app.try_log_in(&wrong(person)).await.code(), "login-failed");
    }
}

async fn log_in_from(app: &TestApp, person: &Person, address: [u8; 4]) -> Answer {
    let nobody = app.nobody();
    let mut request = nobody.request(Method::POST, "/v1/sessions", Some(person.credentials()));
    request.extensions_mut().insert(ClientAddress(IpAddr::from(address)));
    app.send(request).await
}

/// Sets what is known of accounts, not of addresses, which have failed more often by then.
async fn set(app: &TestApp, assignments: &'static str) {
    let text = format!("UPDATE identity.failures SET {assignments}");
    sqlx::query(sqlx::AssertSqlSafe(text)).execute(&app.pool()).await.unwrap();
}

async fn lock(app: &TestApp) {
    set(
        app,
        "locked_until = clock_timestamp() + interval '1 hour' WHERE locked_until > '-infinity'",
    )
    .await;
}

/// How long is to be waited, in seconds from the last failure.
async fn waits(app: &TestApp) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM locked_until - last_at)::bigint FROM identity.failures
         WHERE locked_until > '-infinity' ORDER BY 1",
    )
    .fetch_all(&app.pool())
    .await
    .unwrap()
}

async fn with_ada() -> (TestApp, Person) {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    (app, Person::ada())
}

#[tokio::test]
async fn the_right_password_has_to_wait_as_well() {
    let (app, ada) = with_ada().await;
    fails(&app, &ada, OF_ACCOUNT - 1).await;
    app.log_in(&ada).await;
    fails(&app, &ada, OF_ACCOUNT).await;
    lock(&app).await;
    let refused = app.try_log_in(&ada).await;
    assert_eq!((refused.status, refused.code()), (401, "login-failed"));
    // Not from elsewhere either, and others are not concerned.
    assert_eq!(log_in_from(&app, &ada, [198, 51, 100, 1]).await, refused);
    app.welcome(&Person::bob()).await;
    app.log_in(&Person::bob()).await;

    set(&app, "locked_until = clock_timestamp() WHERE locked_until > '-infinity'").await;
    app.log_in(&ada).await;
    assert_eq!(waits(&app).await, Vec::<i64>::new(), "it begins anew");
}

#[tokio::test]
async fn each_failure_doubles_the_wait() {
    let (app, ada) = with_ada().await;
    fails(&app, &ada, OF_ACCOUNT - 1).await;
    assert_eq!(waits(&app).await, Vec::<i64>::new());
    for expected in [1, 2, 4, 8, 16, 32] {
        fails(&app, &ada, 1).await;
        assert_eq!(waits(&app).await, [expected]);
        // While it is waited nothing is counted.
        lock(&app).await;
        fails(&app, &ada, 1).await;
        set(&app, "locked_until = last_at WHERE locked_until > '-infinity'").await;
    }
    set(&app, "count = 40 WHERE locked_until > '-infinity'").await;
    fails(&app, &ada, 1).await;
    assert_eq!(waits(&app).await, [900], "a quarter of an hour at most");
    let yesterday = "last_at = last_at - interval '25 hours', locked_until = '-infinity'";
    set(&app, yesterday).await;
    fails(&app, &ada, OF_ACCOUNT - 1).await;
    assert_eq!(waits(&app).await, Vec::<i64>::new(), "a day without any begins anew");
}

#[tokio::test]
async fn an_operator_lets_try_again() {
    let (app, ada) = with_ada().await;
    let operator = app.operator().await;
    fails(&app, &ada, OF_ACCOUNT).await;
    lock(&app).await;
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    let user = app.user(&ada.email).await;
    let unlocked = operator.delete(&format!("/v1/users/{user}/lock")).await;
    assert_eq!(unlocked.status, 202, "{unlocked:?}");
    app.log_in(&ada).await;
}

#[tokio::test]
async fn another_password_lets_try_again() {
    let (app, ada) = with_ada().await;
    fails(&app, &ada, OF_ACCOUNT).await;
    lock(&app).await;
    let user = app.user(&ada.email).await;
    let token = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": token, "password": "the tide is out tonight"});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.status, 204);
    app.log_in(&Person { password: "the tide is out tonight".to_owned(), ..ada }).await;
}

/// Nobody finds out the password from within.
#[tokio::test]
async fn who_is_logged_in_waits_as_well() {
    let (app, ada) = with_ada().await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    for _ in 0..OF_ACCOUNT {
        let body = json!({"password": "something else entirely"});
        assert_eq!(me.post("/v1/me/closure", body).await.code(), "login-failed");
    }
    lock(&app).await;
    let body = json!({"password": ada.password});
    assert_eq!(me.post("/v1/me/closure", body).await.code(), "login-failed");
    let change = json!({"current": ada.password, "password": "the tide is out tonight"});
    assert_eq!(me.put("/v1/me/password", change).await.code(), "login-failed");
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_waits() {
    let (app, ada) = with_ada().await;
    let from = [198, 51, 100, 1];
    for number in 0..OF_ADDRESS {
        let somebody = Person::new(&format!("{number}@example.org"), "something else entirely");
        assert_eq!(log_in_from(&app, &somebody, from).await.code(), "login-failed");
    }
    assert_eq!(waits(&app).await, [1]);
    lock(&app).await;
    assert_eq!(log_in_from(&app, &ada, from).await.code(), "login-failed");
    assert_eq!(log_in_from(&app, &ada, [198, 51, 100, 2]).await.status, 201);
    // One who comes in does not clear the address.
    assert_eq!(log_in_from(&app, &ada, from).await.code(), "login-failed");
}
