//! Laws 3 and 4 over HTTP: a process that is killed between the commit and its answer.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use testkit::{Line, TestDatabase, eventually};

use crate::support::{self, MIGRATOR, Process, Site};

const LIMIT: Duration = Duration::from_mins(1);

/// The same command, however often it is sent.
async fn reprice(process: &Process, product: &str, tag: &str) -> reqwest::Result<Response> {
    Client::new()
        .put(process.url(&format!("/v1/products/{product}/price")))
        .header("Idempotency-Key", "another price")
        .header("If-Match", tag)
        .json(&json!({"amount": 990, "currency": "EUR"}))
        .send()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_answered_to_who_asks_again() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    let mut site = Site::of(database);
    let direct = site.url.clone();
    let places = (format!(":{}/", options.get_port()), format!(":{}/", line.port()));
    site.url = direct.replace(&places.0, &places.1);
    assert_ne!(site.url, direct, "the first process asks over the line");
    let mut first = site.serve("killed", &["api"]);
    first.ready().await;
    let client = support::Client::new(first.url(""));
    let product = client.list_product("MUG-1", 5).await;

    // Everything arrives at the database from now on, and no answer of it comes back.
    line.delay(Duration::from_hours(1));
    let tag = "\"1-2\"";
    let asked = reprice(&first, &product, tag);
    let killed = async {
        let pool = site.database.pool();
        let repriced =
            "SELECT count(*) FROM eventstore.events WHERE type = 'catalog.product-repriced'";
        eventually(LIMIT, "the command to be committed", async || {
            let count: i64 = sqlx::query_scalar(repriced).fetch_one(&pool).await.unwrap();
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
        first.signal(rustix::process::Signal::KILL);
    };
    let (answer, ()) = tokio::join!(asked, killed);
    assert!(answer.is_err(), "nobody was answered: {answer:?}");

    site.url = direct;
    let mut second = site.serve("asked-again", &["api"]);
    second.ready().await;
    // The product is at another version by now, by this very command.
    for _ in 0..2 {
        let again = reprice(&second, &product, tag).await.unwrap();
        assert_eq!(again.status(), StatusCode::NO_CONTENT);
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.headers()["annals-position"], "3");
        assert_eq!(again.headers()["etag"], "\"2-3\"");
    }
    let head: i64 = sqlx::query_scalar("SELECT max(position) FROM eventstore.events")
        .fetch_one(&site.database.pool())
        .await
        .unwrap();
    assert_eq!(head, 3, "it had one effect");
}
