//! A provider of these tests that says whatever they want it to say.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// It stops when this is dropped.
pub(crate) struct Issuer {
    pub(crate) url: String,
    says: Says,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Says(Arc<Mutex<Said>>);

struct Said {
    url: String,
    keys: Vec<(String, u8)>,
    /// What is answered to a code.
    token: (StatusCode, Value),
    /// How often keys were asked for.
    asked: usize,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let said = Said {
            url: url.clone(),
            keys: vec![("first".to_owned(), 1)],
            token: (StatusCode::SERVICE_UNAVAILABLE, Value::Null),
            asked: 0,
        };
        let says = Says(Arc::new(Mutex::new(said)));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(says.clone());
        let task = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, says, task }
    }

    /// Answers codes like this from now on.
    pub(crate) fn answers(&self, status: StatusCode, body: Value) {
        self.says.0.lock().unwrap().token = (status, body);
    }

    /// Answers codes with a token that says `claims`, signed under the key that `seed` makes.
    pub(crate) fn vouches(&self, header: &Value, claims: &Value, seed: u8) {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = if header["alg"] == "none" {
            String::new()
        } else {
            URL_SAFE_NO_PAD.encode(pair(seed).sign(signed.as_bytes()))
        };
        let token = format!("{signed}.{signature}");
        self.answers(StatusCode::OK, json!({"id_token": token, "token_type": "Bearer"}));
    }

    /// Publishes this key instead of those before.
    pub(crate) fn rotates(&self, id: &str, seed: u8) {
        self.says.0.lock().unwrap().keys = vec![(id.to_owned(), seed)];
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.says.0.lock().unwrap().asked
    }

    /// What an honest issuer says of somebody who logged in where `nonce` was given.
    pub(crate) fn claims(&self, nonce: &str, now: DateTime<Utc>) -> Value {
        json!({
            "iss": self.url, "sub": "7", "aud": "annals", "nonce": nonce,
            "iat": now.timestamp(), "exp": now.timestamp() + 300,
            "email": "ada@example.org", "email_verified": true, "name": "Ada",
        })
    }
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

async fn describe(State(Says(says)): State<Says>) -> Json<Value> {
    let url = says.lock().unwrap().url.clone();
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
    }))
}

async fn keys(State(Says(says)): State<Says>) -> Json<Value> {
    let mut says = says.lock().unwrap();
    says.asked += 1;
    let keys = says.keys.iter().map(|(id, seed)| {
        let x = URL_SAFE_NO_PAD.encode(pair(*seed).public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x})
    });
    Json(json!({"keys": keys.collect::<Vec<_>>()}))
}

async fn token(State(Says(says)): State<Says>) -> (StatusCode, Json<Value>) {
    let (status, body) = says.lock().unwrap().token.clone();
    (status, Json(body))
}
