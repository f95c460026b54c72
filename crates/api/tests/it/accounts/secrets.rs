//! What nobody may know is in no table and in no message.

use application::identity::Purpose;
use axum::http::{Method, header};
use chrono::TimeDelta;
use eventstore::{Filter, Position};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{ADDRESS, AGENT, Login, Person, TestApp, render};

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
    // Often enough that states are kept for later.
    for turn in 0..120 {
        let name = format!("{} {turn}", NAMES[turn % 2]);
        let profile = json!({"name": name});
        let me = app.as_user(&last.access);
        assert_eq!(me.put("/v1/me/profile", profile).await.status, 204);
    }
    app.pass(TimeDelta::days(29)).await;
    app.project().await;
    for login in [&first, &login, &last] {
        secrets.extend([login.access.clone(), login.refresh.clone()]);
        // Parts of a token are as good.
        secrets.extend(login.access.rsplit('.').next().map(str::to_owned));
        secrets.push(login.refresh["anr_".len()..].to_owned());
    }
    secrets.extend([reset, unused]);

    let (rows, messages) = (rows(&app).await, messages(&app).await);
    assert!(rows.iter().any(|(table, row)| {
        table == "identity.passwords" && row.contains("$argon2id$") && row.contains(&last.user)
    }));
    assert!(messages.iter().any(|message| message.starts_with("identity.user-registered")));
    let operator = app.operator().await;
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
