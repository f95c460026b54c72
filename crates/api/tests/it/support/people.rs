//! People with accounts, who ask over HTTP.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use adapters::SystemRandomness;
use api::feed::Settings;
use api::forwarded::ClientAddress;
use api::{Grants, Limits, Queries};
use application::Origin;
use application::access::Access;
use application::identity::{Identity, NewAccount, Purpose};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use chrono::TimeDelta;
use domain::identity::Grant;
use domain::ids::UserId;
use projections::engine::Reached;
use projections::freshness::Freshness;
use prometheus::Registry;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Answer, DEADLINE, LIFETIMES, NEXT, ROTATION, SHORT, Service, Started, TestApp, TestClock,
    limits, open, source,
};

/// What clients say that they are.
pub(crate) const AGENT: &str = "Marmoset/7.3";

/// Whence they ask.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Somebody with an account, and what nobody else knows.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// What somebody who is logged in has.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// Asks on somebody's behalf.
#[derive(Clone)]
pub(crate) struct As {
    router: Router,
    /// What `Authorization` says, if it is sent.
    authorization: Option<String>,
}

/// Another process with the same accounts, which follows what makes tokens stale until it is dropped.
pub(crate) struct Beside {
    pub(crate) router: Router,
    pub(crate) access: Access,
    stop: CancellationToken,
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Person {
    pub(crate) fn new(email: &str, password: &str) -> Self {
        Self { email: email.to_owned(), password: password.to_owned() }
    }

    pub(crate) fn ada() -> Self {
        Self::new("ada@example.org", "a lovely day in Ely")
    }

    pub(crate) fn bob() -> Self {
        Self::new("bob@example.org", "seven herons by the quay")
    }

    /// What logging in takes.
    pub(crate) fn credentials(&self) -> Value {
        json!({"email": self.email, "password": self.password})
    }
}

impl Login {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Self {
            user: text("user_id"),
            session: text("session_id"),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl As {
    pub(crate) fn nobody(router: &Router) -> Self {
        Self { router: router.clone(), authorization: None }
    }

    pub(crate) fn user(router: &Router, token: &str) -> Self {
        Self { router: router.clone(), authorization: Some(format!("Bearer {token}")) }
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.ask(Method::GET, address, None).await
    }

    pub(crate) async fn post(&self, address: &str, body: Value) -> Answer {
        self.ask(Method::POST, address, Some(body)).await
    }

    pub(crate) async fn put(&self, address: &str, body: impl Into<Option<Value>>) -> Answer {
        self.ask(Method::PUT, address, body.into()).await
    }

    pub(crate) async fn delete(&self, address: &str) -> Answer {
        self.ask(Method::DELETE, address, None).await
    }

    pub(crate) async fn ask(&self, method: Method, address: &str, body: Option<Value>) -> Answer {
        Answer::of(self.router.clone(), self.request(method, address, body)).await
    }

    /// What is sent: its id is fixed, and it comes from a network.
    pub(crate) fn request(
        &self,
        method: Method,
        address: &str,
        body: Option<Value>,
    ) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(address)
            .header("x-request-id", "00000000-0000-7000-8000-0000000000ff")
            .header(header::USER_AGENT, AGENT)
            .extension(ClientAddress(ADDRESS));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        match body {
            None => request.body(Body::empty()).unwrap(),
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                request.body(body.to_string().into()).unwrap()
            }
        }
    }
}

impl TestApp {
    /// Where strangers may come in, and nothing else.
    pub(crate) async fn with_doors() -> Self {
        Self::with_grants(for_strangers()).await
    }

    pub(crate) fn nobody(&self) -> As {
        As::nobody(&self.router)
    }

    pub(crate) fn as_user(&self, token: &str) -> As {
        As::user(&self.router, token)
    }

    pub(crate) const fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) const fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Lets time pass; keys of access tokens are made and read meanwhile, as their job does.
    pub(crate) async fn pass(&self, by: TimeDelta) {
        self.clock.pass(by);
        self.identity.keys().rotate(ROTATION, &SystemRandomness).await.unwrap();
        self.identity.keys().rotate(ROTATION, &SystemRandomness).await.unwrap();
    }

    pub(crate) async fn register(&self, person: &Person) -> Answer {
        let Person { email, password } = person;
        let body = json!({"email": email, "name": "Ada", "password": password});
        self.nobody().post("/v1/users", body).await
    }

    /// Registers somebody, who proves the address.
    pub(crate) async fn welcome(&self, person: &Person) -> UserId {
        assert_eq!(self.register(person).await.status, 202);
        let user = self.user(&person.email).await;
        let token = self.mailed(user, Purpose::VerifyEmail).await.unwrap();
        let answer = self.nobody().post("/v1/email-verifications", json!({"token": token})).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        user
    }

    pub(crate) async fn try_log_in(&self, person: &Person) -> Answer {
        self.nobody().post("/v1/sessions", person.credentials()).await
    }

    pub(crate) async fn log_in(&self, person: &Person) -> Login {
        Login::of(&self.try_log_in(person).await)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.nobody().post("/v1/sessions/refresh", json!({"refresh_token": token})).await
    }

    /// Who has an address.
    pub(crate) async fn find_user(&self, email: &str) -> Option<UserId> {
        let user = self.identity.user_with(&email.parse().unwrap()).await.unwrap();
        user.map(|user| user.id)
    }

    pub(crate) async fn user(&self, email: &str) -> UserId {
        self.find_user(email).await.unwrap()
    }

    /// The token that is mailed to a user, as the consumer of messages makes it.
    pub(crate) async fn mailed(&self, user: UserId, purpose: Purpose) -> Option<String> {
        Some(self.letter(user, purpose).await?.1)
    }

    /// To which address it is mailed, and the token.
    pub(crate) async fn letter(&self, user: UserId, purpose: Purpose) -> Option<(String, String)> {
        let mut transaction = self.pool().begin().await.unwrap();
        let mailed = self.identity.to_be_mailed(&mut transaction, user, purpose).await.unwrap();
        transaction.commit().await.unwrap();
        mailed.map(|mailed| (mailed.to.address, mailed.token.expose_secret().to_owned()))
    }

    /// Somebody with a role that grants this, for whom somebody vouches.
    pub(crate) async fn appoint(&self, person: &Person, role: &str, grants: &Value) -> UserId {
        let grants: Vec<Grant> = serde_json::from_value(grants.clone()).unwrap();
        let role = (role.to_owned().try_into().unwrap(), grants.into_iter().collect());
        let asked = NewAccount {
            email: person.email.parse().unwrap(),
            name: "Ada".to_owned().try_into().unwrap(),
            password: person.password.clone().into(),
            roles: vec![role],
        };
        self.identity.create_account(&origin(), asked).await.unwrap()
    }

    /// Somebody who may do everything.
    pub(crate) async fn operator(&self) -> As {
        let person = Person::new("operator@example.org", "nine geese upon the weir");
        self.appoint(&person, "operator", &json!([{"permission": "*", "reach": "all"}])).await;
        self.as_user(&self.log_in(&person).await.access)
    }

    /// What has happened, in order: the types of the events, and what they say.
    pub(crate) async fn happened(&self, event_type: &str) -> Vec<Value> {
        sqlx::query_scalar(
            "SELECT payload::jsonb FROM eventstore.events WHERE type = $1 ORDER BY position",
        )
        .bind(event_type)
        .fetch_all(&self.pool())
        .await
        .unwrap()
    }

    /// Another process with the same accounts, at the same time by the clock.
    pub(crate) async fn another(&self) -> Beside {
        let store = open(&self.database, self.database.pool()).await;
        let freshness = Freshness::new(self.database.pool(), Reached::default());
        let queries = Queries { source: source(&store), freshness, wait: SHORT };
        let service = Service { store: &store, clock: &self.clock, ids: &self.ids, external: None };
        let limits = Limits { anonymous: for_strangers(), ..limits(DEADLINE) };
        let Started { router, access, .. } =
            service.start(queries, &Registry::new(), limits, Settings::default()).await;
        let stop = CancellationToken::new();
        let clock = Arc::new(self.clock.clone());
        tokio::spawn(access.clone().follow(clock, LIFETIMES.access_token, stop.clone()));
        Beside { router, access, stop }
    }
}

/// Where commands of operators come from that are not asked over HTTP.
pub(crate) fn origin() -> Origin {
    let id = Uuid::from_u128((2 << 80) + u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    Origin {
        actor: "cli:test".to_owned(),
        tenant: None,
        correlation_id: id,
        trace: None,
        idempotency_key: None,
    }
}

pub(super) fn for_strangers() -> Grants {
    Grants::named(["account.enter", "description.read"]).unwrap()
}
