//! People who log in at a provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapters::{OpenIdConnect, ProviderSettings, SystemClock};
use api::{Limits, Queries};
use application::identity::{ExternalLogins, Redirects};
use application::ports::Clock;
use projections::engine::Reached;
use projections::freshness::Freshness;
use serde_json::{Value, json};
use testkit::{OidcClient, OidcProvider, TestDatabase};

use super::{
    Answer, As, Browser, DEADLINE, MIGRATOR, SHORT, TestApp, for_strangers, limits, open, source,
};

/// Where browsers come back to.
pub(crate) const REDIRECT: &str = "https://shop.example/in";

/// What proves to providers who we are.
pub(crate) const CLIENT_SECRET: &str = "seventeen swans & a swallow: at once";

/// What the provider is called.
pub(crate) const PROVIDER: &str = "elsewhere";

/// How long requests wait for a provider that does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A login that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) address: String,
    pub(crate) state: String,
    pub(crate) binding: String,
}

/// A provider at which these tests are a client.
pub(crate) fn provider() -> OidcProvider {
    let client = OidcClient {
        id: "annals".to_owned(),
        secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
    };
    OidcProvider::start(client).unwrap()
}

impl Begun {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Self { address: text("authorization_url"), state: text("state"), binding: text("binding") }
    }

    /// What it is completed with, after the browser came `back`.
    pub(crate) fn completion(&self, back: &BTreeMap<String, String>) -> Value {
        assert_eq!(back["state"], self.state);
        json!({
            "code": back["code"], "state": back["state"], "iss": back["iss"],
            "binding": self.binding,
        })
    }
}

impl As {
    pub(crate) async fn begin(&self) -> Begun {
        let address = format!("/v1/sessions/external/{PROVIDER}");
        Begun::of(&self.post(&address, json!({"redirect_uri": REDIRECT})).await)
    }

    pub(crate) async fn complete(&self, completion: Value) -> Answer {
        self.post(&format!("/v1/sessions/external/{PROVIDER}/complete"), completion).await
    }
}

impl TestApp {
    /// Where people may also come in from `issuer`.
    pub(crate) async fn with_provider(issuer: &str) -> Self {
        let settings = ProviderSettings {
            name: PROVIDER.to_owned().try_into().unwrap(),
            title: "Elsewhere".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "annals".to_owned(),
            client_secret: Some(CLIENT_SECRET.into()),
            scopes: "openid email profile".to_owned(),
        };
        let port = Arc::new(OpenIdConnect::new(vec![settings], PATIENCE).unwrap());
        let redirects = Redirects::new(&[REDIRECT.to_owned()]).unwrap();
        let external = Some(ExternalLogins { port, redirects });
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = open(&database, database.pool()).await;
        let freshness = Freshness::new(database.pool(), Reached::default());
        let queries = Queries { source: source(&store), freshness, wait: SHORT };
        let limits = Limits { anonymous: for_strangers(), ..limits(DEADLINE) };
        let app = Self::with(database, store, queries, limits, external).await;
        app.keep_time().await;
        app
    }

    /// Sets the clock, for providers have one of their own.
    pub(crate) async fn keep_time(&self) {
        self.pass(SystemClock.now() - Clock::now(self.clock())).await;
    }

    /// Somebody begins, logs in there as `name`, and comes back: with what it is completed.
    pub(crate) async fn visit(&self, browser: &mut Browser, name: &str) -> Value {
        let begun = self.nobody().begin().await;
        let back = browser.log_in(&begun.address, name, REDIRECT).await;
        self.keep_time().await;
        begun.completion(&back)
    }

    /// Somebody comes in by logging in there as `name`.
    pub(crate) async fn come_in(&self, name: &str) -> Answer {
        let completion = self.visit(&mut Browser::new(), name).await;
        self.nobody().complete(completion).await
    }
}
