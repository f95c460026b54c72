//! What is let in by `Authorization`, and what is not.

use adapters::{Jwts, SystemRandomness};
use application::ports::Clock as _;
use application::ports::access_tokens::{AccessTokens as _, Claims, Seed, SigningPeriod};
use axum::body::Body;
use axum::http::{HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use eventstore::Position;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Answer, LIFETIMES, Login, Person, TestApp};

/// The answer to `Authorization` as it is given, once or more.
async fn knock(app: &TestApp, authorization: &[&str]) -> Answer {
    let mut request = app.nobody().request(Method::GET, "/v1/me", None);
    for value in authorization {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(header::AUTHORIZATION, value);
    }
    app.send(request).await
}

fn is_refused(answer: &Answer, why: &str) {
    assert_eq!((answer.status, answer.code()), (401, "invalid-token"), "{why}: {answer:?}");
    assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"", "{why}");
}

async fn with_ada() -> (TestApp, Login) {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    let login = app.log_in(&Person::ada()).await;
    (app, login)
}

#[tokio::test]
async fn without_a_token_nobody_is_logged_in() {
    let (app, _) = with_ada().await;
    let answer = knock(&app, &[]).await;
    assert_eq!((answer.status, answer.code()), (401, "not-logged-in"));
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn what_is_no_access_token_is_refused() {
    let (app, login) = with_ada().await;
    let (ada, refresh) = (format!("Bearer {}", login.access), format!("Bearer {}", login.refresh));
    assert_eq!(knock(&app, &[&ada]).await.status, 200);
    assert_eq!(knock(&app, &[&ada.replace("Bearer", "bEARER")]).await.status, 200);
    let long = format!("Bearer {}", "a".repeat(10_000));
    let list = format!("{ada}, {ada}");
    let basic = ada.replace("Bearer", "Basic");
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a",
        "Bearer a.b.c",
        "Bearer ..",
        "Basic YWRhOmFkYQ==",
        &basic,
        &refresh,
        &long,
        &list,
        &login.access,
        &format!("{ada} x"),
        &format!("Bearer {ada}"),
    ] {
        is_refused(&knock(&app, &[value]).await, value);
    }
    is_refused(&knock(&app, &[&ada, &ada]).await, "twice the same");
    is_refused(&knock(&app, &["Basic YWRhOmFkYQ==", &ada]).await, "two of them");
    is_refused(&knock(&app, &[&ada, ""]).await, "one of them empty");
    let mut request = app.nobody().request(Method::GET, "/v1/me", None);
    let value = HeaderValue::from_bytes(format!("{ada}\u{e9}").as_bytes()).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    is_refused(&app.send(request).await, "no ASCII");

    // Nor is anything answered that takes no login: who sends a token means it.
    let mut request = app.nobody().request(Method::GET, "/problems", None);
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    is_refused(&app.send(request).await, "where anybody is answered");
}

#[tokio::test]
async fn a_token_is_over_when_its_time_is() {
    let (app, login) = with_ada().await;
    app.pass(LIFETIMES.access_token).await;
    assert_eq!(app.as_user(&login.access).get("/v1/me").await.status, 200, "clocks differ");
    app.pass(TimeDelta::seconds(5)).await;
    is_refused(&app.as_user(&login.access).get("/v1/me").await, "expired");
    app.pass(-LIFETIMES.access_token - TimeDelta::seconds(11)).await;
    is_refused(&app.as_user(&login.access).get("/v1/me").await, "from times to come");
}

/// Whatever a token says, it must have been said here.
#[tokio::test]
async fn a_token_of_others_is_refused() {
    let (app, login) = with_ada().await;
    let now = app.clock().now();
    let claims = Claims {
        user: login.user.parse().unwrap(),
        session: login.session.parse().unwrap(),
        id: Uuid::from_u128(7),
        issued_at: now,
        expires_at: now + LIFETIMES.access_token,
        position: Position::new(app.log_length().await),
        roles: Vec::new(),
        organization: None,
    };
    let keys = app.identity().keys().current();
    let ours = keys.signing_key(now).unwrap();
    let sign = |issuer: &str, audience: &str, claims: &Claims| {
        Jwts::new(issuer, audience).sign(claims, ours).unwrap().expose_secret().to_owned()
    };
    let right = sign("test", "test", &claims);
    assert_eq!(app.as_user(&right).get("/v1/me").await.status, 200, "that is how they are");
    let period =
        SigningPeriod { not_before: now - TimeDelta::days(1), not_after: now + TimeDelta::days(1) };
    let theirs = Seed::random(&SystemRandomness).unwrap();
    let theirs = Jwts::new("test", "test").signing_key(theirs, period).unwrap();
    let theirs = Jwts::new("test", "test").sign(&claims, &theirs).unwrap();
    let long = Claims { expires_at: now + LIFETIMES.access_token * 2, ..claims.clone() };
    for (why, token) in [
        ("other issuer", sign("other", "test", &claims)),
        ("other audience", sign("test", "other", &claims)),
        ("other key", theirs.expose_secret().to_owned()),
        ("longer than any", sign("test", "test", &long)),
    ] {
        is_refused(&app.as_user(&token).get("/v1/me").await, why);
    }
}

/// Whatever is changed of it, a token is that of its user or none.
#[tokio::test]
async fn a_changed_token_is_never_somebody_else() {
    let (app, login) = with_ada().await;
    app.welcome(&Person::bob()).await;
    let bob = app.log_in(&Person::bob()).await;
    let parts: Vec<_> = login.access.split('.').collect();
    let others: Vec<_> = bob.access.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{parts:?}") };
    let mut said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    said["sub"] = bob.user.clone().into();
    let said = URL_SAFE_NO_PAD.encode(said.to_string());
    let plain = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none"}"#);
    let mut forged = vec![
        format!("{header}.{said}.{signature}"),
        format!("{header}.{}.{signature}", others[1]),
        format!("{header}.{claims}.{}", others[2]),
        format!("{plain}.{said}."),
        format!("{plain}.{said}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{}.{said}", login.access),
        format!("{};{}", login.access, bob.access),
        format!("{},{}", login.access, bob.access),
    ];
    // The last characters hold bits that no signature needs.
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let other = format!("{}{last}", &login.access[..login.access.len() - 1]);
        forged.extend((other != login.access).then_some(other));
    }
    for token in forged {
        is_refused(&app.as_user(&token).get("/v1/me").await, &token);
    }
    for around in [format!("  {}", login.access), format!("{}  ", login.access)] {
        let answer = app.as_user(&around).get("/v1/me").await;
        assert_eq!((answer.status, &answer.body["id"]), (200, &login.user.clone().into()));
    }
}

/// An address in the query is no header.
#[tokio::test]
async fn a_token_is_read_from_the_header_only() {
    let (app, login) = with_ada().await;
    let address = format!("/v1/me?access_token={}", login.access);
    assert_eq!(app.nobody().get(&address).await.code(), "not-logged-in");
    let mut request = app.nobody().request(Method::GET, "/v1/me", None);
    let cookie = format!("access_token={}", login.access);
    request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    *request.body_mut() = Body::from(format!("access_token={}", login.access));
    assert_eq!(app.send(request).await.code(), "not-logged-in");
}
