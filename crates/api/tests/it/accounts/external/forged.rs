//! Tokens that no honest issuer gives out.

use application::ports::Clock as _;
use axum::http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Answer, Begun, Issuer, Login, TestApp};

const HONEST: (&str, u8) = ("first", 1);

/// A login that was begun, and the nonce that the provider was given.
async fn begun(app: &TestApp) -> (Begun, String) {
    app.keep_time().await;
    let begun = app.nobody().begin().await;
    let address = Url::parse(&begun.address).unwrap();
    let (_, nonce) = address.query_pairs().find(|(name, _)| name == "nonce").unwrap();
    let nonce = nonce.into_owned();
    (begun, nonce)
}

async fn complete(app: &TestApp, begun: &Begun) -> Answer {
    let body = json!({"code": "any", "state": begun.state, "binding": begun.binding});
    app.nobody().complete(body).await
}

#[tokio::test]
async fn forged_tokens_let_nobody_in() {
    let issuer = Issuer::start().await;
    let app = TestApp::with_provider(&issuer.url).await;
    let (honest, seed) = HONEST;
    let header = |algorithm: &str, key: &str| json!({"alg": algorithm, "kid": key});
    let honest = header("EdDSA", honest);
    for (header, seed, changes) in [
        (header("none", "first"), seed, json!({})),
        (json!({"alg": "none"}), seed, json!({})),
        (header("HS256", "first"), seed, json!({})),
        (header("RS256", "first"), seed, json!({})),
        (honest.clone(), 2, json!({})),
        (header("EdDSA", "second"), seed, json!({})),
        (honest.clone(), seed, json!({"iss": "https://other.example"})),
        (honest.clone(), seed, json!({"aud": "other"})),
        (honest.clone(), seed, json!({"aud": ["annals", "other"]})),
        (honest.clone(), seed, json!({"azp": "other"})),
        (honest.clone(), seed, json!({"exp": app.clock().now().timestamp() - 61})),
        (honest.clone(), seed, json!({"iat": app.clock().now().timestamp() + 600})),
        (honest.clone(), seed, json!({"nonce": "that of another login"})),
        (honest.clone(), seed, json!({"nonce": null})),
    ] {
        let (login, nonce) = begun(&app).await;
        let mut claims = issuer.claims(&nonce, app.clock().now());
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        issuer.vouches(&header, &claims, seed);
        let answer = complete(&app, &login).await;
        let case = format!("{header} {changes}");
        assert_eq!((answer.status, answer.code()), (502, "provider-untrusted"), "{case}");
        assert!(!answer.body.to_string().contains("eyJ"), "{answer:?}");
        // What was forged spoils nothing: the honest token of that login is still good.
        issuer.vouches(&honest, &issuer.claims(&nonce, app.clock().now()), 1);
        Login::of(&complete(&app, &login).await);
    }
    assert_eq!(app.happened("identity.user-registered").await.len(), 1);
}

/// Keys that are unknown are looked up once, and not again for each token that names one.
#[tokio::test]
async fn keys_that_are_new_are_found_and_made_up_ones_ask_nobody() {
    let issuer = Issuer::start().await;
    let app = TestApp::with_provider(&issuer.url).await;
    let came = async |key: &str, seed: u8| {
        let (login, nonce) = begun(&app).await;
        let header = json!({"alg": "EdDSA", "kid": key});
        issuer.vouches(&header, &issuer.claims(&nonce, app.clock().now()), seed);
        complete(&app, &login).await
    };
    Login::of(&came("first", 1).await);
    Login::of(&came("first", 1).await);
    assert_eq!(issuer.asked(), 1);
    issuer.rotates("second", 2);
    Login::of(&came("second", 2).await);
    assert_eq!(issuer.asked(), 2);
    for key in ["third", "fourth", "first"] {
        assert_eq!(came(key, 1).await.code(), "provider-untrusted");
    }
    assert_eq!(issuer.asked(), 2);
}

/// A provider that cannot answer now may be asked again: nothing of the login is used up.
#[tokio::test]
async fn what_a_provider_does_not_answer_is_completed_later() {
    let issuer = Issuer::start().await;
    let app = TestApp::with_provider(&issuer.url).await;
    let (login, nonce) = begun(&app).await;
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        issuer.answers(status, Value::Null);
        let answer = complete(&app, &login).await;
        assert_eq!((answer.status, answer.code()), (503, "provider-unavailable"));
    }
    for (status, error, code) in [
        (StatusCode::BAD_REQUEST, "invalid_grant", "external-login-refused"),
        (StatusCode::UNAUTHORIZED, "invalid_client", "provider-untrusted"),
        (StatusCode::FOUND, "moved", "provider-untrusted"),
    ] {
        issuer.answers(status, json!({"error": error, "error_description": "hush-hush"}));
        let answer = complete(&app, &login).await;
        assert_eq!(answer.code(), code, "{error}");
        assert!(!answer.body.to_string().contains("hush"), "{answer:?}");
    }
    let header = json!({"alg": "EdDSA"});
    issuer.vouches(&header, &issuer.claims(&nonce, app.clock().now()), 1);
    Login::of(&complete(&app, &login).await);
}
