//! Refresh tokens: each is replaced by the next, and none is good for two.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::journey::is_shut_out;
use crate::support::{LIFETIMES, Login, Person, TestApp};

async fn with_ada() -> (TestApp, Login) {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    let login = app.log_in(&Person::ada()).await;
    (app, login)
}

async fn next(app: &TestApp, token: &str) -> Login {
    Login::of(&app.refresh(token).await)
}

/// What is known of the session is what it was: nobody was logged out, no token was replaced.
async fn kept(app: &TestApp) -> Vec<Value> {
    sqlx::query_scalar("SELECT to_jsonb(t) FROM identity.refresh_tokens AS t ORDER BY session_id")
        .fetch_all(&app.pool())
        .await
        .unwrap()
}

/// The session has ended, because a token of it was used again.
async fn is_ended(app: &TestApp, newest: &Login) {
    let ended = app.happened("identity.session-ended").await;
    let expected = json!([
        {"session_id": newest.session, "user_id": newest.user, "reason": "token-reused"}
    ]);
    assert_eq!(json!(ended), expected);
    assert_eq!(app.refresh(&newest.refresh).await.code(), "token-refused");
    is_shut_out(&app.as_user(&newest.access)).await;
}

#[tokio::test]
async fn each_is_replaced_by_the_next() {
    let (app, first) = with_ada().await;
    let mut seen = BTreeSet::from([first.refresh.clone()]);
    let mut login = first.clone();
    for _ in 0..10 {
        login = next(&app, &login.refresh).await;
        assert!(seen.insert(login.refresh.clone()), "each is another one");
        assert_eq!((&login.session, &login.user), (&first.session, &first.user));
        assert_eq!(app.as_user(&login.access).get("/v1/me").await.status, 200);
    }
    assert_eq!(app.as_user(&first.access).get("/v1/me").await.status, 200, "until it is over");
}

#[tokio::test]
async fn a_lost_answer_is_forgiven_once() {
    let (app, first) = with_ada().await;
    let lost = next(&app, &first.refresh).await;
    app.pass(TimeDelta::seconds(59)).await;
    let again = next(&app, &first.refresh).await;
    assert_eq!(again.refresh, lost.refresh, "the same chain goes on");
    let newest = next(&app, &again.refresh).await;
    assert_eq!(app.as_user(&newest.access).get("/v1/me").await.status, 200);
    // The next one may be lost as well.
    assert_eq!(next(&app, &again.refresh).await.refresh, newest.refresh);
    assert!(app.happened("identity.session-ended").await.is_empty());
}

#[tokio::test]
async fn a_second_lost_answer_is_not_forgiven() {
    let (app, first) = with_ada().await;
    let newest = next(&app, &first.refresh).await;
    next(&app, &first.refresh).await;
    assert_eq!(app.refresh(&first.refresh).await.code(), "token-refused");
    is_ended(&app, &newest).await;
}

#[tokio::test]
async fn an_answer_that_was_lost_long_ago_is_not_forgiven() {
    let (app, first) = with_ada().await;
    let newest = next(&app, &first.refresh).await;
    app.pass(TimeDelta::seconds(60)).await;
    assert_eq!(app.refresh(&first.refresh).await.code(), "token-refused");
    is_ended(&app, &newest).await;
}

#[tokio::test]
async fn an_older_token_is_never_forgiven() {
    let (app, first) = with_ada().await;
    let second = next(&app, &first.refresh).await;
    let newest = next(&app, &second.refresh).await;
    assert_eq!(app.refresh(&first.refresh).await.code(), "token-refused");
    is_ended(&app, &newest).await;
}

/// Who knows the id of a session, and not its token, can do nothing to it.
#[tokio::test]
async fn what_was_never_given_out_changes_nothing() {
    let (app, login) = with_ada().await;
    let other = app.log_in(&Person::ada()).await;
    let before = kept(&app).await;
    let bytes = URL_SAFE_NO_PAD.decode(&login.refresh["anr_".len()..]).unwrap();
    let others = URL_SAFE_NO_PAD.decode(&other.refresh["anr_".len()..]).unwrap();
    let written = |bytes: &[u8]| format!("anr_{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut forged = vec![
        String::from("anr_"),
        login.refresh.replace("anr_", "anp_"),
        login.refresh["anr_".len()..].to_owned(),
        format!("{}=", login.refresh),
        format!("{}A", login.refresh),
        format!(" {}", login.refresh),
        written(&[&bytes[..20], &[0; 32]].concat()),
        written(&[&bytes[..16], &others[16..]].concat()),
        written(&[&bytes[..20], &others[20..]].concat()),
        written(&bytes[..51]),
    ];
    for number in [0, 2, 3, i32::MAX, -1, i32::MIN] {
        forged.push(written(&[&bytes[..16], &number.to_be_bytes(), &bytes[20..]].concat()));
    }
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        forged.push(written(&changed));
    }
    for token in forged {
        let answer = app.refresh(&token).await;
        assert_eq!((answer.status, answer.code()), (422, "token-refused"), "{token}");
    }
    assert_eq!(kept(&app).await, before);
    assert!(app.happened("identity.session-ended").await.is_empty());
    next(&app, &login.refresh).await;
}

/// Of two at the same time one is the second, and is forgiven or ends the session; there are never two
/// chains.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_at_the_same_time_get_one_token() {
    let (app, mut login) = with_ada().await;
    for round in 0..20 {
        let (one, other) = tokio::join!(app.refresh(&login.refresh), app.refresh(&login.refresh));
        let (one, other) = (Login::of(&one), Login::of(&other));
        assert_eq!(one.refresh, other.refresh, "round {round}");
        login = one;
    }
    assert!(app.happened("identity.session-ended").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_the_same_time_get_one_token_and_end_the_session() {
    let (app, login) = with_ada().await;
    let tries = (0..8).map(|_| {
        let (nobody, token) = (app.nobody(), login.refresh.clone());
        tokio::spawn(async move {
            nobody.post("/v1/sessions/refresh", json!({"refresh_token": token})).await
        })
    });
    let tries: Vec<_> = tries.collect();
    let mut given = Vec::new();
    for answer in tries {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            given.push(Login::of(&answer));
        } else {
            assert_eq!(answer.code(), "token-refused");
        }
    }
    assert_eq!(given.len(), 2, "the first, and one that is forgiven");
    assert_eq!(given[0].refresh, given[1].refresh);
    is_ended(&app, &given[0]).await;
}

#[tokio::test]
async fn a_session_that_is_not_used_is_over() {
    let (app, login) = with_ada().await;
    app.pass(LIFETIMES.idle - TimeDelta::seconds(1)).await;
    let login = next(&app, &login.refresh).await;
    app.pass(LIFETIMES.idle).await;
    assert_eq!(app.refresh(&login.refresh).await.code(), "token-refused");
    let later = app.log_in(&Person::ada()).await;
    let shown = app.as_user(&later.access).get("/v1/me/sessions").await;
    let items = shown.body["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(later.session)));
}

/// However often it is used; and no token of it lives longer.
#[tokio::test]
async fn a_session_is_over_at_its_end() {
    let (app, mut login) = with_ada().await;
    let step = TimeDelta::days(10);
    for _ in 0..2 {
        app.pass(step).await;
        login = next(&app, &login.refresh).await;
    }
    app.pass(step - TimeDelta::seconds(60)).await;
    let answer = app.refresh(&login.refresh).await;
    assert_eq!(answer.body["access_token_expires_at"], "2026-02-01T03:04:05.678Z", "its end");
    let login = Login::of(&answer);
    assert_eq!(app.as_user(&login.access).get("/v1/me").await.status, 200);
    app.pass(TimeDelta::seconds(60)).await;
    assert_eq!(app.refresh(&login.refresh).await.code(), "token-refused");
    app.pass(TimeDelta::seconds(5)).await;
    assert_eq!(app.as_user(&login.access).get("/v1/me").await.code(), "invalid-token");
}
