//! What becomes of a second factor whose device or whose owner is no more.

use eventstore::{CommandId, Metadata, Subject};
use serde_json::json;
use uuid::Uuid;

use super::Careful;
use crate::support::{Device, Login};

#[tokio::test]
async fn an_operator_takes_it_away() {
    let ada = Careful::ada().await;
    let operator = ada.app.operator().await;
    let address = format!("/v1/users/{}/second-factor", ada.login.user);
    assert_eq!(ada.me().delete(&address).await.code(), "forbidden");
    let shown = format!("/v1/users/{}", ada.login.user);
    assert_eq!(operator.get(&shown).await.body["has_second_factor"], true);
    for _ in 0..2 {
        let removed = operator.delete(&address).await;
        assert_eq!(removed.status, 204, "{removed:?}");
    }
    let disabled = json!({"user_id": ada.login.user, "by": "operator"});
    assert_eq!(ada.app.happened("identity.second-factor-disabled").await, [disabled], "once");
    assert_eq!(operator.get(&shown).await.body["has_second_factor"], false);
    assert_eq!(ada.shown().await["has_second_factor"], false, "the session goes on");
    ada.app.log_in(&ada.ada).await;
    let unknown = format!("/v1/users/{}/second-factor", Uuid::from_u128(4));
    assert_eq!(operator.delete(&unknown).await.code(), "not-found");

    let me = ada.app.as_user(&ada.app.log_in(&ada.ada).await.access);
    let (device, _) = Device::enrolled(&ada.app, &me, &ada.ada).await;
    Login::of(&ada.log_in(&device.shows_next(&ada.app)).await);
}

async fn kept(ada: &Careful, table: &str) -> i64 {
    let text = format!("SELECT count(*) FROM identity.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&ada.app.pool()).await.unwrap()
}

/// The table of a seed that waits, which is none of the user's who has one.
#[tokio::test]
async fn nothing_is_kept_of_who_is_erased() {
    let ada = Careful::ada().await;
    sqlx::query(
        "INSERT INTO identity.pending_second_factors
         SELECT user_id, enrolment, seed, clock_timestamp() + interval '1 day'
         FROM identity.second_factors",
    )
    .execute(&ada.app.pool())
    .await
    .unwrap();
    let tables = ["second_factors", "pending_second_factors", "recovery_codes", "devices"];
    application::identity::prune(&ada.app.pool()).await.unwrap();
    for table in tables {
        assert!(kept(&ada, table).await > 0, "{table}");
    }
    let subject = Subject::new(format!("user:{}", ada.login.user)).unwrap();
    let metadata = Metadata {
        actor: "cli:test".to_owned(),
        tenant: None,
        correlation_id: Uuid::from_u128(1),
        causation_id: None,
        trace: None,
    };
    ada.app.store().erase(&subject, CommandId::new(Uuid::from_u128(7)), metadata).await.unwrap();
    let code = ada.device.shows_next(&ada.app);
    assert_eq!(ada.log_in(&code).await.code(), "login-failed");
    application::identity::prune(&ada.app.pool()).await.unwrap();
    for table in tables {
        assert_eq!(kept(&ada, table).await, 0, "{table}");
    }
}
