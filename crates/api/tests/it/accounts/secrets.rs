//! What nobody may know is in no table and in no message.

use application::identity::Purpose;
use axum::http::{Method, header};
use chrono::TimeDelta;
use eventstore::{Filter, Position};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{ADDRESS, AGENT, As, Device, Login, Person, TestApp, codes, render};

const NAMES: [&str; 2] = ["Wilhelmina Quillfeather", "Ottoline Marchbanks"];
const WANTED: &str = "ottoline.marchbanks@zephyr.example";
const PASSWORDS: [&str; 3] =
    ["a heron stood by the lock", "two herons flew to Ghent", "no herons came to Delft"];

/// Each table of the database, and each of its rows as text.
pub(super) async fn rows(app: &TestApp) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    .fetch_all(&app.pool())
    .await
    .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let text = format!("SELECT t::text FROM {table} AS t");
        let found: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(&app.pool()).await.unwrap();
        rows.extend(found.into_iter().map(|row| (table.clone(), row)));
    }
    rows
}

/// What the public is told.
pub(super) async fn messages(app: &TestApp) -> Vec<String> {
    let (store, render) = (app.store(), render());
    let head = store.head().await.unwrap();
    let page = store.read_page(&Filter::default(), Position::START, head, 1_000).await.unwrap();
    assert_eq!(page.reached, head, "all of it");
    let rendered = page.events.iter().filter_map(|event| render(event).unwrap());
    rendered.map(|message| format!("{} {}", message.message_type, message.json)).collect()
}

/// A secret as it is, and as bytes are shown.
pub(super) fn forms(secret: &str) -> [String; 2] {
    let hex: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    [secret.to_lowercase(), hex.concat()]
}

/// Has a second factor, and comes in with it; answers with what nobody may know of it.
async fn with_second_factor(app: &TestApp, person: &Person, login: &Login) -> Vec<String> {
    let me = app.as_user(&login.access);
    let replaced = Device::told(&me, person).await;
    let (device, mut known) = Device::enrolled(app, &me, person).await;
    let come_in = async |code: String| {
        let body = json!({"email": person.email, "password": person.password, "code": code});
        assert_eq!(app.nobody().post("/v1/sessions", body).await.status, 201);
    };
    come_in(device.shows_next(app)).await;
    come_in(known[0].clone()).await;
    let both = json!({"password": person.password, "code": device.shows_next(app)});
    known.extend(codes(&me.post("/v1/me/second-factor/recovery-codes", both).await));
    come_in(known[10].clone()).await;
    assert_eq!(known.len(), 20);
    known.extend(known.clone().iter().map(|code| code.replace('-', "")));
    for device in [&replaced, &device] {
        known.extend([device.typed.clone(), device.url.clone()]);
        // As JSON and as hexadecimal digits show bytes.
        let bytes: Vec<_> = device.bytes().iter().map(u8::to_string).collect();
        known.push(bytes.join(","));
        known.push(bytes.join(", "));
        let digits: Vec<_> = device.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        known.push(digits.concat());
    }
    // What waits to be confirmed is kept as well.
    let waits = "INSERT INTO identity.pending_second_factors
        SELECT user_id, enrolment, seed, clock_timestamp() FROM identity.second_factors";
    sqlx::query(waits).execute(&app.pool()).await.unwrap();
    known
}

/// A key of who asks, and what it was replaced by.
async fn with_api_keys(app: &TestApp, me: &As) -> Vec<String> {
    let mut keys = Vec::new();
    let grant = json!({"permission": "description.read", "reach": "all"});
    let asked = json!({"name": NAMES[0], "grants": [grant]});
    let mut address = "/v1/me/api-keys".to_owned();
    for body in [asked, json!({"overlap_seconds": 60})] {
        let mut request = me.request(Method::POST, &address, Some(body));
        request.headers_mut().insert("idempotency-key", address.parse().unwrap());
        let given = app.send(request).await;
        let key = given.body["api_key"].as_str().unwrap().to_owned();
        assert_eq!(app.as_user(&key).get("/problems").await.status, 200);
        keys.push(key);
        address = format!("/v1/me/api-keys/{}/rotate", given.body["id"].as_str().unwrap());
    }
    keys
}

/// Invites somebody who has no account.
async fn invite(app: &TestApp, operator: &As) {
    let mut address = "/v1/organizations".to_owned();
    let invitation = json!({"email": "reginald@marchbanks.example", "role": "organization-member"});
    for body in [json!({"name": "Teapots"}), invitation] {
        let mut request = operator.request(Method::POST, &address, Some(body));
        request.headers_mut().insert("idempotency-key", "to reginald".parse().unwrap());
        let made = app.send(request).await;
        assert_eq!(made.status, 201, "{made:?}");
        address = format!("{}/invitations", made.headers["location"]);
    }
}

#[tokio::test]
async fn nothing_of_it_is_kept_or_told() {
    let app = TestApp::with_doors().await;
    let mut person = Person::new("wilhelmina@quillfeather.example", PASSWORDS[0]);
    let mut secrets: Vec<String> =
        [NAMES[0], NAMES[1], WANTED, AGENT, &person.email].map(str::to_owned).to_vec();
    secrets.extend(PASSWORDS.map(str::to_owned));
    secrets.extend([ADDRESS.to_string(), "quillfeather".to_owned(), "marchbanks".to_owned()]);

    let body = json!({"email": person.email, "name": NAMES[0], "password": person.password});
    let mut register = app.nobody().request(Method::POST, "/v1/users", Some(body.clone()));
    // A name of a command may say a lot.
    register.headers_mut().insert("idempotency-key", person.email.parse().unwrap());
    assert_eq!(app.send(register).await.status, 202);
    assert_eq!(app.nobody().post("/v1/users", body).await.status, 202);
    let user = app.user(&person.email).await;
    let prove = async |secrets: &mut Vec<String>| {
        let token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
        let proof = json!({"token": token});
        assert_eq!(app.nobody().post("/v1/email-verifications", proof).await.status, 204);
        secrets.push(token);
    };
    prove(&mut secrets).await;
    app.try_log_in(&Person { password: PASSWORDS[2].to_owned(), ..person.clone() }).await;
    let first = app.log_in(&person).await;
    let login = Login::of(&app.refresh(&first.refresh).await);
    let me = app.as_user(&login.access);
    assert_eq!(me.put("/v1/me/profile", json!({"name": NAMES[1]})).await.status, 204);
    let wish = json!({"email": WANTED, "password": person.password});
    assert_eq!(me.put("/v1/me/email", wish).await.status, 202);
    prove(&mut secrets).await;
    person.email = WANTED.to_owned();
    let change = json!({"current": PASSWORDS[0], "password": PASSWORDS[1]});
    assert_eq!(me.put("/v1/me/password", change).await.status, 204);
    let reset = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": reset, "password": PASSWORDS[2]});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.status, 204);
    person.password = PASSWORDS[2].to_owned();
    let unused = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let last = app.log_in(&person).await;
    let me = app.as_user(&last.access);
    let keys = with_api_keys(&app, &me).await;
    app.identity().write_uses().await.unwrap();
    secrets.extend(with_second_factor(&app, &person, &last).await);
    // Often enough that states are kept for later.
    for turn in 0..120 {
        let name = format!("{} {turn}", NAMES[turn % 2]);
        let profile = json!({"name": name});
        let me = app.as_user(&last.access);
        assert_eq!(me.put("/v1/me/profile", profile).await.status, 204);
    }
    app.pass(TimeDelta::days(29)).await;
    let operator = app.operator().await;
    invite(&app, &operator).await;
    app.project().await;
    for login in [&first, &login, &last] {
        secrets.extend([login.access.clone(), login.refresh.clone()]);
        // Parts of a token are as good.
        secrets.extend(login.access.rsplit('.').next().map(str::to_owned));
        secrets.push(login.refresh["anr_".len()..].to_owned());
    }
    secrets.extend([reset, unused]);
    for key in keys {
        // Behind the id of the key, which is none.
        secrets.push(key["annals_".len() + 33..].to_owned());
        secrets.push(key);
    }

    let (rows, messages) = (rows(&app).await, messages(&app).await);
    assert!(rows.iter().any(|(table, row)| {
        table == "identity.passwords" && row.contains("$argon2id$") && row.contains(&last.user)
    }));
    for table in ["second_factors", "pending_second_factors", "recovery_codes", "devices"] {
        let table = format!("identity.{table}");
        assert!(rows.iter().any(|(of, row)| *of == table && row.contains(&last.user)), "{table}");
    }
    assert!(messages.iter().any(|message| message.starts_with("identity.user-registered")));
    assert!(messages.iter().any(|message| message.starts_with("identity.recovery-code-used")));
    let mut request = operator.request(Method::GET, "/v1/audit/events?limit=100", None);
    request.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    let audited = app.send(request).await;
    assert_eq!(audited.status, 200, "{audited:?}");
    let stream = format!("identity.user-{user}");
    let state = operator.get(&format!("/v1/audit/streams/{stream}/state")).await;
    assert_eq!(state.status, 200, "{state:?}");
    for secret in &secrets {
        for form in forms(secret) {
            for (table, row) in &rows {
                assert!(!row.to_lowercase().contains(&form), "{secret} in {table}: {row}");
            }
            for message in &messages {
                assert!(!message.to_lowercase().contains(&form), "{secret} in {message}");
            }
            for answer in [&audited, &state] {
                let text = answer.body.to_string().to_lowercase();
                assert!(!text.contains(&form), "{secret} in {text}");
            }
        }
    }
}
