//! Who is erased is nobody any more.

use application::identity::Purpose;
use eventstore::{CommandId, Metadata, Subject};
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::support::{LIMIT, Person, TestApp};

#[tokio::test]
async fn who_is_erased_is_nobody_any_more() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    let login = app.log_in(&ada).await;
    let reset = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let operator = app.operator().await;
    let shown = format!("/v1/users/{user}");
    assert_eq!(operator.get(&shown).await.body["email"], ada.email);

    let subject = Subject::new(format!("user:{user}")).unwrap();
    let metadata = Metadata {
        actor: "cli:test".to_owned(),
        tenant: None,
        correlation_id: Uuid::from_u128(1),
        causation_id: None,
        trace: None,
    };
    app.store().erase(&subject, CommandId::new(Uuid::from_u128(7)), metadata).await.unwrap();

    assert_eq!(app.find_user(&ada.email).await, None);
    let found = operator.get("/v1/users?email=ada@example.org").await;
    assert_eq!(found.body, json!({"items": []}));
    eventually(LIMIT, "the erasure to be known", async || {
        let answer = operator.get(&shown).await;
        let is_gone = answer.body["email"] == Value::Null && answer.body["name"] == Value::Null;
        if answer.status == 200 && is_gone { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    assert!(app.mailed(user, Purpose::ResetPassword).await.is_none(), "there is no address");
    let body = json!({"token": reset, "password": "the tide is out tonight"});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.code(), "token-refused");
    let sessions = app.as_user(&login.access).get("/v1/me/sessions").await;
    assert_eq!(sessions.body["items"][0]["address"], Value::Null, "{sessions:?}");

    assert_eq!(app.refresh(&login.refresh).await.code(), "token-refused");
    // Nothing is kept of who is nobody: a password, a session, what was mailed; of the operator it is.
    application::identity::prune(&app.pool()).await.unwrap();
    for table in ["passwords", "refresh_tokens", "mailed_tokens"] {
        let kept = format!("SELECT count(*) FROM identity.{table} WHERE user_id = $1");
        let kept = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(kept)).bind(user.get());
        assert_eq!(kept.fetch_one(&app.pool()).await.unwrap(), 0, "{table}");
    }
    assert_eq!(operator.get("/v1/me").await.status, 200);

    let another = app.welcome(&ada).await;
    assert_ne!(another, user);
    let login = app.log_in(&ada).await;
    assert_eq!(login.user, another.to_string());
    assert_eq!(operator.get(&shown).await.body["email"], Value::Null);
}
