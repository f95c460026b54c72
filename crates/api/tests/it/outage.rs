//! The database goes away: requests are refused in time, and served again when it is back.

use testkit::{Postgres, eventually};

use crate::support::{Answer, LIMIT, TestApp, order, product};

const ANY: &str = "00000000-0000-7000-8000-000000000001";

async fn ask_everything(app: &TestApp) -> Vec<Answer> {
    vec![
        app.get("/v1/products").await,
        app.get(&format!("/v1/products/{ANY}")).await,
        app.get("/v1/orders").await,
        app.get(&format!("/v1/orders/{ANY}")).await,
        app.get(&format!("/v1/orders/{ANY}?as_of=position:1")).await,
        app.get_at("/v1/orders", 1).await,
        app.get("/v1/audit/events").await,
        app.get("/v1/projections").await,
        app.get("/v1/projections/orders").await,
        app.post_as("k", "/v1/products", product("Mug-1", 1, "EUR")).await,
        app.post("/v1/orders", order(&[(ANY, 1)])).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgresql_is_down_everything_is_refused_and_nothing_changed() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let app = TestApp::on(&postgres).await;
    assert_eq!(app.get("/v1/products").await.status, 200);
    postgres.kill9();
    for round in 0..2 {
        for answer in ask_everything(&app).await {
            assert_eq!(answer.code(), "database-unavailable", "round {round}");
            assert_eq!(answer.headers["retry-after"], "1");
        }
    }
    insta::assert_json_snapshot!("query", app.get("/v1/products").await);
    let command = app.post_as("k", "/v1/products", product("Mug-1", 1, "EUR")).await;
    insta::assert_json_snapshot!("command", command);

    // What needs no database is answered as always.
    assert_eq!(app.get("/problems").await.status, 200);
    assert_eq!(app.post("/v1/orders", "{}").await.code(), "invalid-body");

    postgres.restart().unwrap();
    let answer = eventually(LIMIT, "the service to be back", async || {
        let answer = app.post_as("k", "/v1/products", product("Mug-1", 1, "EUR")).await;
        if answer.status == 201 { Ok(answer) } else { Err(answer) }
    })
    .await;
    assert!(!answer.headers.contains_key("idempotency-replayed"), "nothing was changed before");
    eventually(LIMIT, "queries to be served", async || {
        let answer = app.get("/v1/products").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_was_sent_when_postgresql_died_is_unconfirmed() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let app = TestApp::on(&postgres).await;
    // Holds the append between its sending and its commit.
    let mut holding = app.pool().begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(107126926175347)";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    let body = product("Mug-1", 1, "EUR");
    let dying = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        eventually(LIMIT, "the append to wait", async || {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&app.pool()).await.unwrap();
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
        postgres.kill9();
    };
    let (answer, ()) = tokio::join!(app.post_as("k", "/v1/products", body.clone()), dying);
    insta::assert_json_snapshot!(answer);

    drop(holding);
    postgres.restart().unwrap();
    eventually(LIMIT, "the same command to take effect", async || {
        let answer = app.post_as("k", "/v1/products", body.clone()).await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(app.log_length().await, 2, "one product and its stock");
}
