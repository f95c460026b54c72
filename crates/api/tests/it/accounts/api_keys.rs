//! API keys: what programs are let in by, over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use api::Permission;
use application::opaque_token::TokenDigest;
use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use eventstore::{CommandId, Metadata, Subject};
use serde_json::{Value, json};
use testkit::{Postgres, eventually};
use uuid::Uuid;

use crate::statements;
use crate::support::{Answer, As, Beside, LIMIT, Login, Person, TestApp, product};

const KEYS: &str = "/v1/me/api-keys";

/// What a key of these tests is to do.
const READ: (&str, &str) = ("users.read", "all");

/// Whoever may not.
const INVALID: (u16, &str) = (401, "invalid-token");

static NEXT: AtomicU64 = AtomicU64::new(1);

fn grants(of: &[(&str, &str)]) -> Value {
    of.iter().map(|(permission, reach)| json!({"permission": permission, "reach": reach})).collect()
}

/// Posts `body` under a name of its own, or that of `name`.
async fn post(app: &TestApp, who: &As, address: &str, body: Value, name: Option<&str>) -> Answer {
    let mut request = who.request(Method::POST, address, Some(body));
    let fresh = format!("api key {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let name = name.unwrap_or(&fresh).parse().unwrap();
    request.headers_mut().insert("idempotency-key", name);
    app.send(request).await
}

async fn try_create(app: &TestApp, who: &As, of: &[(&str, &str)]) -> Answer {
    post(app, who, KEYS, json!({"name": "Nightly import", "grants": grants(of)}), None).await
}

async fn rotate(app: &TestApp, who: &As, key: &Key, overlap_seconds: u32) -> Key {
    let address = format!("{}/rotate", key.address());
    let answer = post(app, who, &address, json!({"overlap_seconds": overlap_seconds}), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Key::of(&answer)
}

/// A key, and the secret that was told.
#[derive(Debug, Clone)]
struct Key {
    id: String,
    secret: String,
}

impl Key {
    fn of(answer: &Answer) -> Self {
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Self { id: text("id"), secret: text("api_key") }
    }

    fn address(&self) -> String {
        format!("{KEYS}/{}", self.id)
    }
}

/// Ada, who has a role that lets her read users, and a key for that.
struct World {
    app: TestApp,
    login: Login,
    key: Key,
}

impl World {
    async fn new() -> Self {
        Self::of(TestApp::with_doors().await).await
    }

    async fn of(app: TestApp) -> Self {
        app.appoint(&Person::ada(), "clerk", &grants(&[READ])).await;
        let login = app.log_in(&Person::ada()).await;
        let key = Key::of(&try_create(&app, &app.as_user(&login.access), &[READ]).await);
        Self { app, login, key }
    }

    fn me(&self) -> As {
        self.app.as_user(&self.login.access)
    }

    fn program(&self) -> As {
        self.app.as_user(&self.key.secret)
    }

    fn address(&self) -> String {
        format!("/v1/users/{}", self.login.user)
    }

    /// What the key is good for.
    async fn ask(&self, who: &As) -> Answer {
        who.get(&self.address()).await
    }
}

#[tokio::test]
async fn a_key_is_made_used_shown_and_ended() {
    let world = World::new().await;
    let (app, me, program) = (&world.app, world.me(), world.program());
    let expected = format!("annals_{}_", world.key.id.replace('-', ""));
    assert!(world.key.secret.starts_with(&expected), "{expected}: its owner knows which one it is");
    let shown = world.ask(&program).await;
    assert_eq!((shown.status, shown.body["id"].as_str()), (200, Some(&*world.login.user)));

    let list = me.get(KEYS).await.body;
    let item = &list["items"][0];
    assert_eq!(item["id"], world.key.id);
    assert_eq!(item["name"], "Nightly import");
    assert_eq!(item["grants"], grants(&[READ]));
    assert_eq!(item["used_at"], Value::Null, "it is not written yet");
    app.identity().write_uses().await.unwrap();
    let shown = me.get(&world.key.address()).await.body;
    assert_eq!(shown["used_at"], "2026-01-02T03:04:00Z", "the minute it was used in");
    assert!(!list.to_string().contains("annals_") && !shown.to_string().contains("annals_"));

    let other = Key::of(&try_create(app, &me, &[READ]).await);
    assert_eq!(me.get(KEYS).await.body["items"][0]["id"], other.id, "the newest first");
    assert_eq!(me.delete(&world.key.address()).await.status, 204);
    assert_eq!(me.delete(&world.key.address()).await.status, 204, "done again it does nothing");
    assert_eq!(app.happened("identity.api-key-revoked").await.len(), 1);
    let refused = world.ask(&program).await;
    assert_eq!((refused.status, refused.code()), INVALID);
    assert_eq!(me.get(&world.key.address()).await.code(), "not-found");
    assert_eq!(me.get(KEYS).await.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.ask(&app.as_user(&other.secret)).await.status, 200, "this one goes on");
    let digests: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.api_key_secrets")
        .fetch_one(&app.pool())
        .await
        .unwrap();
    assert_eq!(digests, 1, "nothing is kept of what is over");
}

#[tokio::test]
async fn what_is_asked_for_must_make_sense() {
    let world = World::new().await;
    let (app, me) = (&world.app, world.me());
    for (body, pointer) in [
        (json!({"name": " ", "grants": grants(&[READ])}), "/name"),
        (json!({"name": "Import", "grants": []}), "/grants"),
        (json!({"name": "Import", "grants": grants(&[("users.fly", "all")])}), "/grants"),
        (json!({"name": "Import", "grants": grants(&[("account.self", "own")])}), "/grants"),
        (json!({"name": "Import", "grants": grants(&[READ]), "expires_at": "soon"}), "/expires_at"),
        (json!({"name": "Import"}), "/grants"),
    ] {
        let answer = post(app, &me, KEYS, body, None).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid-body"), "{pointer}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    let past =
        json!({"name": "Import", "grants": grants(&[READ]), "expires_at": "2026-01-01T00:00:00Z"});
    assert_eq!(post(app, &me, KEYS, past, None).await.code(), "rejected");
    let unnamed = me.post(KEYS, json!({"name": "Import", "grants": grants(&[READ])})).await;
    assert_eq!(unnamed.code(), "idempotency-key-missing");
    let rotation = format!("{}/rotate", world.key.address());
    let long = post(app, &me, &rotation, json!({"overlap_seconds": 2_592_001}), None).await;
    assert_eq!(long.code(), "invalid-body");
}

/// Neither when it is made, nor when it is used.
#[tokio::test]
async fn no_key_goes_farther_than_its_owner() {
    let world = World::new().await;
    let (app, me) = (&world.app, world.me());
    for beyond in [("users.manage", "own"), ("*", "all"), ("orders.read", "own")] {
        let answer = try_create(app, &me, &[READ, beyond]).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{beyond:?}");
    }
    assert_eq!(app.happened("identity.api-key-created").await.len(), 1);
    let operator = app.operator().await;
    // The owner may more now; the key may what it was made for.
    let more = json!({"grants": grants(&[READ, ("roles.read", "all")])});
    assert_eq!(operator.put("/v1/roles/clerk", more).await.status, 204);
    let me = app.as_user(&Login::of(&app.refresh(&world.login.refresh).await).access);
    let has = async |who: &As, address: &str, expected: u16| {
        eventually(LIMIT, "the role to be another", async || {
            let answer = who.get(address).await;
            if answer.status == expected { Ok(()) } else { Err(answer) }
        })
        .await;
    };
    has(&me, "/v1/roles", 200).await;
    let program = world.program();
    let refused = program.get("/v1/roles").await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    assert_eq!(world.ask(&program).await.status, 200);
    // The owner may less: so does the key, at once in the process that did it.
    let role = format!("{}/roles/clerk", world.address());
    assert_eq!(operator.delete(&role).await.status, 204);
    has(&program, &world.address(), 403).await;
    assert_eq!(operator.put(&role, None).await.status, 204);
    has(&program, &world.address(), 200).await;
    let less = json!({"grants": grants(&[("users.read", "own")])});
    assert_eq!(operator.put("/v1/roles/clerk", less).await.status, 204);
    has(&program, &world.address(), 403).await;
}

/// Every route of the description, by a key of an operator that grants everything.
#[tokio::test]
async fn a_key_opens_everything_but_what_takes_a_login() {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    let key = Key::of(&try_create(&app, &operator, &[("*", "all")]).await);
    let document: Value = serde_json::from_str(api::openapi::text()).unwrap();
    let mut own = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let program = app.as_user(&key.secret);
            let address = path.replace(['{', '}'], "");
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = program.request(method.clone(), &address, None);
            let takes_a_login = operation["x-permission"] == Permission::OwnAccount.as_str();
            if takes_a_login {
                let answer = app.send(request).await;
                assert_eq!((answer.status, answer.code()), (403, "session-required"), "{address}");
                own += 1;
                continue;
            }
            let status = app.status(request).await;
            for refused in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
                assert_ne!(status, refused.as_u16(), "{method} {address}");
            }
            assert_ne!(status, 500, "{method} {address}");
        }
    }
    assert!(own > 10, "{own}");
}

#[tokio::test]
async fn what_a_program_does_is_its_owners_and_says_by_which_key() {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    let orders = [("orders.place", "own"), ("orders.read", "own")];
    let bob = app.appoint(&Person::bob(), "customer", &grants(&orders)).await;
    let login = app.log_in(&Person::bob()).await;
    let me = app.as_user(&login.access);
    let key = Key::of(&try_create(&app, &me, &orders).await);
    let mug = serde_json::from_str(&product("MUG-1", 250, "EUR")).unwrap();
    let mug = operator.post("/v1/products", mug).await.body["id"].clone();
    let order = json!({"lines": [{"product_id": mug, "quantity": 1}]});
    let program = app.as_user(&key.secret);
    for who in [&program, &me, &operator] {
        let placed = post(&app, who, "/v1/orders", order.clone(), None).await;
        assert_eq!(placed.status, 201, "{placed:?}");
    }
    app.project().await;
    for who in [&program, &me] {
        let seen = who.get("/v1/orders").await;
        assert_eq!(seen.body["items"].as_array().unwrap().len(), 2, "{seen:?}");
    }
    let actor = format!("api-key:{}/user:{bob}", key.id);
    let found = operator.get(&format!("/v1/audit/events?actor={actor}")).await;
    let types: Vec<_> =
        found.body["items"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert!(types.contains(&json!("ordering.order-placed.v1")), "{found:?}");
}

#[tokio::test]
async fn a_key_that_differs_in_any_character_lets_nobody_in() {
    let world = World::new().await;
    assert_eq!(world.ask(&world.program()).await.status, 200);
    let secret = &world.key.secret;
    let refused = async |text: &str| {
        let answer = world.ask(&world.app.as_user(text)).await;
        assert_eq!((answer.status, answer.code()), INVALID, "{text}");
    };
    for (at, own) in secret.char_indices() {
        for other in ['A', 'b', '0', '_'] {
            if other != own {
                refused(&format!("{}{other}{}", &secret[..at], &secret[at + 1..])).await;
            }
        }
    }
    for text in [
        &secret[..secret.len() - 1],
        &format!("{secret}A"),
        &format!("{secret}="),
        &secret.to_uppercase(),
        &secret["annals_".len()..],
        "annals_",
        &format!("annals_{}_{}", world.key.id, &secret[40..]),
    ] {
        refused(text).await;
    }
    // The form is right, but nobody gave it out.
    let bob = world.app.appoint(&Person::bob(), "clerk", &grants(&[READ])).await;
    let me = world.app.as_user(&world.app.log_in(&Person::bob()).await.access);
    let other = Key::of(&try_create(&world.app, &me, &[READ]).await);
    assert!(TokenDigest::of_api_key(&other.secret).is_some(), "of {bob}");
    refused(&format!("{}{}", &secret[..40], &other.secret[40..])).await;
    assert_eq!(world.app.nobody().get(&format!("/v1/me?api_key={secret}")).await.status, 401);
}

#[tokio::test]
async fn secrets_of_before_let_in_until_their_time_is_over() {
    let world = World::new().await;
    let (app, me, first) = (&world.app, world.me(), world.program());
    assert_eq!(world.ask(&first).await.status, 200);
    let second = rotate(app, &me, &world.key, 3_600).await;
    assert_eq!(second.id, world.key.id);
    assert_ne!(second.secret, world.key.secret);
    let second = app.as_user(&second.secret);
    for who in [&first, &second] {
        assert_eq!(world.ask(who).await.status, 200, "both let in");
    }
    let shown = me.get(&world.key.address()).await.body;
    assert_eq!(shown["previous_until"], "2026-01-02T04:04:05.678Z");
    app.pass(TimeDelta::minutes(59)).await;
    assert_eq!(world.ask(&first).await.status, 200);
    app.pass(TimeDelta::minutes(1)).await;
    let refused = world.ask(&first).await;
    assert_eq!((refused.status, refused.code()), INVALID);
    assert_eq!(world.ask(&second).await.status, 200);

    // Whoever has lost the answer does it again: what is in use goes on.
    let me = app.as_user(&app.log_in(&Person::ada()).await.access);
    rotate(app, &me, &world.key, 3_600).await;
    let fourth = app.as_user(&rotate(app, &me, &world.key, 3_600).await.secret);
    for who in [&second, &fourth] {
        assert_eq!(world.ask(who).await.status, 200);
    }
    // And whoever has lost a key ends all secrets of before at once.
    let fifth = app.as_user(&rotate(app, &me, &world.key, 0).await.secret);
    for who in [&first, &second, &fourth] {
        assert_eq!(world.ask(who).await.status, 401);
    }
    assert_eq!(world.ask(&fifth).await.status, 200);
    assert_eq!(me.get(&world.key.address()).await.body["previous_until"], Value::Null);
}

#[tokio::test]
async fn a_key_is_over_when_it_was_said() {
    let world = World::new().await;
    let (app, me) = (&world.app, world.me());
    let body =
        json!({"name": "Once", "grants": grants(&[READ]), "expires_at": "2026-01-02T03:05:00Z"});
    let key = Key::of(&post(app, &me, KEYS, body, None).await);
    let program = app.as_user(&key.secret);
    assert_eq!(world.ask(&program).await.status, 200);
    app.pass(TimeDelta::seconds(55)).await;
    assert_eq!(world.ask(&program).await.code(), "invalid-token");
    let rotation = format!("{}/rotate", key.address());
    let refused = post(app, &me, &rotation, json!({"overlap_seconds": 0}), None).await;
    assert_eq!(refused.code(), "rejected", "it is over for good");
    assert_eq!(me.get(&key.address()).await.body["expires_at"], "2026-01-02T03:05:00Z");
}

/// The secret is told once: whoever lost it sees which key it was, and rotates or ends it.
#[tokio::test]
async fn a_repetition_tells_which_key_and_not_its_secret() {
    let world = World::new().await;
    let (app, me) = (&world.app, world.me());
    let body = json!({"name": "Import", "grants": grants(&[READ])});
    let first = post(app, &me, KEYS, body.clone(), Some("one")).await;
    let again = post(app, &me, KEYS, body, Some("one")).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.body, json!({"id": first.body["id"], "api_key": null}));
    let other = json!({"name": "Import", "grants": grants(&[("description.read", "all")])});
    let reused = post(app, &me, KEYS, other, Some("one")).await;
    assert_eq!(reused.code(), "idempotency-key-reused");
    assert_eq!(me.get(KEYS).await.body["items"].as_array().unwrap().len(), 2);

    let key = Key::of(&first);
    let rotation = format!("{}/rotate", key.address());
    let overlap = json!({"overlap_seconds": 60});
    let rotated = Key::of(&post(app, &me, &rotation, overlap.clone(), Some("two")).await);
    let again = post(app, &me, &rotation, overlap, Some("two")).await;
    assert_eq!(again.body, json!({"id": key.id, "api_key": null}));
    assert_eq!(app.happened("identity.api-key-rotated").await.len(), 1);
    for secret in [&key.secret, &rotated.secret] {
        assert_eq!(world.ask(&app.as_user(secret)).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_rotations_at_once_each_secret_that_was_told_counts() {
    let world = World::new().await;
    let address = format!("{}/rotate", world.key.address());
    let tries = (0..4).map(|number| {
        let mut request =
            world.me().request(Method::POST, &address, Some(json!({"overlap_seconds": 60})));
        let name = format!("rotation {number}").parse().unwrap();
        request.headers_mut().insert("idempotency-key", name);
        tokio::spawn(Answer::of(world.app.router().clone(), request))
    });
    let mut told = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            let program = world.app.as_user(&Key::of(&answer).secret);
            assert_eq!(world.ask(&program).await.status, 200);
            told += 1;
        } else {
            assert_eq!((answer.status, answer.code()), (409, "rejected"), "{answer:?}");
        }
    }
    assert!(told > 0);
    assert_eq!(world.app.happened("identity.api-key-rotated").await.len(), told);
    assert_eq!(world.ask(&world.program()).await.status, 200, "it overlaps with all of them");
}

#[tokio::test]
async fn nobody_touches_a_key_of_somebody_else() {
    let world = World::new().await;
    let app = &world.app;
    app.welcome(&Person::bob()).await;
    let bob = app.as_user(&app.log_in(&Person::bob()).await.access);
    assert_eq!(bob.get(&world.key.address()).await.code(), "not-found");
    assert_eq!(bob.delete(&world.key.address()).await.code(), "not-found");
    let rotation = format!("{}/rotate", world.key.address());
    let refused = post(app, &bob, &rotation, json!({"overlap_seconds": 0}), None).await;
    assert_eq!(refused.code(), "not-found");
    assert_eq!(bob.get(KEYS).await.body, json!({"items": []}));
    assert_eq!(world.ask(&world.program()).await.status, 200, "it goes on");
    assert_eq!(world.me().get(KEYS).await.body["items"].as_array().unwrap().len(), 1);
}

/// A second process, which has let the key in before.
struct There {
    world: World,
    beside: Beside,
    operator: As,
}

impl There {
    async fn new() -> Self {
        let world = World::new().await;
        let (beside, operator) = (world.app.another().await, world.app.operator().await);
        let there = Self { world, beside, operator };
        assert_eq!(there.world.ask(&there.program()).await.status, 200);
        there
    }

    fn program(&self) -> As {
        As::user(&self.beside.router, &self.world.key.secret)
    }

    async fn is_over(&self) {
        eventually(LIMIT, "the key to be over", async || {
            let answer = self.world.ask(&self.program()).await;
            if (answer.status, answer.body["code"].as_str()) == (401, Some(INVALID.1)) {
                Ok(())
            } else {
                Err(answer)
            }
        })
        .await;
        // Nor does a process that starts now let it in.
        let third = self.world.app.another().await;
        for router in [&third.router, &self.beside.router, self.world.app.router()] {
            let answer = self.world.ask(&As::user(router, &self.world.key.secret)).await;
            assert_eq!((answer.status, answer.code()), INVALID);
        }
    }
}

#[tokio::test]
async fn a_key_that_is_ended_is_over_everywhere() {
    let there = There::new().await;
    assert_eq!(there.world.me().delete(&there.world.key.address()).await.status, 204);
    there.is_over().await;
}

#[tokio::test]
async fn a_key_that_an_operator_ends_is_over_everywhere() {
    let there = There::new().await;
    let keys = format!("{}/api-keys", there.world.address());
    let listed = there.operator.get(&keys).await;
    assert_eq!(listed.body["items"][0]["id"], there.world.key.id, "{listed:?}");
    let key = format!("{keys}/{}", there.world.key.id);
    let others = key.replace(&there.world.login.user, "00000000-0000-7000-8000-000000000001");
    assert_eq!(there.operator.delete(&others).await.code(), "not-found");
    assert_eq!(there.operator.delete(&key).await.status, 204);
    there.is_over().await;
    assert_eq!(there.operator.get(&keys).await.body, json!({"items": []}));
}

#[tokio::test]
async fn a_secret_that_is_replaced_at_once_is_over_everywhere() {
    let there = There::new().await;
    let next = rotate(&there.world.app, &there.world.me(), &there.world.key, 0).await;
    let program = As::user(&there.beside.router, &next.secret);
    assert_eq!(there.world.ask(&program).await.status, 200, "the next one lets in at once");
    there.is_over().await;
    assert_eq!(there.world.ask(&program).await.status, 200);
}

#[tokio::test]
async fn keys_rest_while_their_owner_is_suspended() {
    let there = There::new().await;
    let suspension = format!("{}/suspension", there.world.address());
    assert_eq!(there.operator.put(&suspension, None).await.status, 204);
    there.is_over().await;
    assert_eq!(there.operator.delete(&suspension).await.status, 204);
    eventually(LIMIT, "the key to let in again", async || {
        let answer = there.world.ask(&there.program()).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn keys_end_with_the_account() {
    let there = There::new().await;
    let closure = json!({"password": Person::ada().password});
    assert_eq!(there.world.me().post("/v1/me/closure", closure).await.status, 204);
    there.is_over().await;
}

#[tokio::test]
async fn keys_of_who_is_erased_are_nobodys() {
    let there = There::new().await;
    let app = &there.world.app;
    let user = &there.world.login.user;
    let subject = Subject::new(format!("user:{user}")).unwrap();
    let metadata = Metadata {
        actor: "cli:test".to_owned(),
        tenant: None,
        correlation_id: Uuid::from_u128(1),
        causation_id: None,
        trace: None,
    };
    app.store().erase(&subject, CommandId::new(Uuid::from_u128(7)), metadata).await.unwrap();
    there.is_over().await;
    application::identity::prune(&app.pool()).await.unwrap();
    for table in ["api_keys", "api_key_secrets"] {
        let kept = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM identity.{table}"));
        let kept: i64 = sqlx::query_scalar(kept).fetch_one(&app.pool()).await.unwrap();
        assert_eq!(kept, 0, "{table}");
    }
    there.is_over().await;
}

/// Another password ends what was begun with the one before, and no key.
#[tokio::test]
async fn another_password_ends_no_key() {
    let world = World::new().await;
    let change = json!({"current": Person::ada().password, "password": "the tide is out tonight"});
    assert_eq!(world.me().put("/v1/me/password", change).await.status, 204);
    assert_eq!(world.ask(&world.program()).await.status, 200);
}

/// Of many requests few read anything of the key: only those that come when it is not known whether
/// something has happened.
#[tokio::test]
async fn who_was_let_in_is_let_in_without_a_query() {
    // Its statements are traced.
    let postgres = tokio::task::spawn_blocking(|| Postgres::start_ephemeral().unwrap());
    let postgres = postgres.await.unwrap();
    let world = World::of(TestApp::on(&postgres).await).await;
    let (program, statements) = (world.program(), statements::count());
    for _ in 0..300 {
        assert_eq!(program.get("/problems").await.status, 200);
    }
    let sent = statements.sent();
    let of_keys = sent.iter().filter(|text| text.contains("api_key")).count();
    assert!((1..100).contains(&of_keys), "{of_keys} of {}", sent.len());
}
