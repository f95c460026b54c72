//! What operators see of read models.

use eventstore::EventType;
use projections::orders::ORDERS;
use projections::rebuild::{self, Options, Request};
use projections::{Worker, operations};
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::support::{Answer, LIMIT, TestApp};

/// What clocks decide is taken out.
fn steady(mut answer: Answer) -> Answer {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if matches!(name.as_str(), "begun_at" | "live_at" | "parked_at") {
                        *value = json!("…");
                    }
                    if name == "behind_seconds" && value.as_f64() != Some(0.0) {
                        *value = json!("…");
                    }
                    mask(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(mask),
            _ => {}
        }
    }
    mask(&mut answer.body);
    answer
}

/// Waits until what is shown of orders is as wanted.
async fn shown(app: &TestApp, what: &str, wanted: impl Fn(&Value) -> bool) -> Answer {
    eventually(LIMIT, what, async || {
        let answer = app.get("/v1/projections/orders").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        if wanted(&answer.body) { Ok(answer) } else { Err(answer) }
    })
    .await
}

#[tokio::test]
async fn all_are_listed_and_each_is_shown() {
    let app = TestApp::new().await;
    let all = app.get("/v1/projections").await;
    insta::assert_json_snapshot!("before_anything", steady(all));
    let keeper = app.keep();
    let mug = app.list("Mug-1", 1250, "EUR").await;
    app.place(&[(&mug, 1)]).await;
    keeper.catches_up(app.store()).await;
    let answer = shown(&app, "orders to be kept", |body| {
        body["live"]["behind_events"] == 0 && body["live"]["position"] == 3
    });
    insta::assert_json_snapshot!("orders_kept", steady(answer.await));
    keeper.stop().await;
    app.place(&[(&mug, 1)]).await;
    let all = app.get("/v1/projections").await;
    let orders = &all.body["items"][0];
    assert_eq!(orders["live"]["behind_events"], 1);
    assert_eq!(orders["live"]["keepers"], json!([]));
    assert!(orders["live"]["behind_seconds"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_pause_and_parked_keys_are_shown() {
    let app = TestApp::new().await;
    let keeper = app.keep();
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let (address, _) = app.place(&[(&mug, 1)]).await;
    let id = address.rsplit('/').next().unwrap();
    let unreadable = EventType::new("ordering.order-confirmed", 99);
    app.append(&format!("ordering.order-{id}"), unreadable, &json!({})).await;
    shown(&app, "a parked key", |body| body["live"]["parked_keys"] == 1).await;
    operations::set_paused(&app.pool(), &ORDERS, true, "test").await.unwrap();
    let mut answer = app.get("/v1/projections/orders").await;
    let error = answer.body["parked"][0]["error"].take();
    assert!(error.as_str().unwrap().contains("ordering.order-confirmed.v99"), "{error}");
    insta::assert_json_snapshot!("paused_with_a_parked_key", steady(answer));
    keeper.stop().await;
}

#[tokio::test]
async fn a_making_is_shown_with_its_progress_and_then_with_its_comparison() {
    let app = TestApp::new().await;
    let keeper = app.keep();
    let mug = app.list("Mug-1", 1250, "EUR").await;
    app.place(&[(&mug, 1)]).await;
    keeper.catches_up(app.store()).await;
    keeper.stop().await;
    sqlx::query("UPDATE orders_v4.orders SET total = 1").execute(&app.pool()).await.unwrap();

    // Whoever is to make it does nothing, as long as it is there.
    let worker = Worker { id: Uuid::from_u128(7), name: "test".to_owned() };
    let request = Request { projection: &ORDERS, worker: &worker, by: "test" };
    let options = Options { slowdown: None, hold: true, ..Options::default() };
    rebuild::begin(&app.pool(), request, options).await.unwrap();
    expires(&app, &worker, "1 hour").await;
    let begun = app.get("/v1/projections/orders").await;
    insta::assert_json_snapshot!("in_the_making", steady(begun));

    expires(&app, &worker, "0").await;
    let keeper = app.keep();
    let made = shown(&app, "it to be made", |body| body["making"]["state"] == "built").await;
    let of_command_line = projections::overview::overview(app.store(), &[&ORDERS]).await.unwrap();
    let of_command_line = of_command_line[0].making.as_ref().unwrap();
    assert_eq!(made.body["making"]["goal"], 3);
    assert_eq!(made.body["making"]["done"], of_command_line.done);
    assert_eq!(made.body["making"]["left_seconds"], json!(of_command_line.left_seconds));
    let mut comparison = made.body["generations"][1]["comparison"].clone();
    assert_eq!(comparison["equal"], false, "{made:?}");
    for table in comparison["tables"].as_array_mut().unwrap() {
        let (live, new) = (table["live_digest"].take(), table["new_digest"].take());
        assert_eq!(live.as_str().unwrap().len(), 16, "sixteen digits: {live}");
        assert_eq!(live == new, table["different"] == 0);
    }
    insta::assert_json_snapshot!("a_difference", comparison);

    rebuild::release(&app.pool(), request).await.unwrap();
    let live = shown(&app, "it to be live", |body| body["live"]["generation"] == 5).await;
    assert_eq!(live.body["retired_generation"], 1);
    keeper.stop().await;
}

/// Leaves what `worker` has to do to it for so long.
async fn expires(app: &TestApp, worker: &Worker, after: &str) {
    let update = "UPDATE projections.workers SET expires_at = clock_timestamp() + $2::text::interval WHERE id = $1";
    let updated = sqlx::query(update).bind(worker.id).bind(after).execute(&app.pool()).await;
    assert_eq!(updated.unwrap().rows_affected(), 1);
}

#[tokio::test]
async fn what_is_no_projection() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!("absent", app.get("/v1/projections/invoices").await);
    for address in ["/v1/projections?limit=1", "/v1/projections/orders?verbose=1"] {
        assert_eq!(app.get(address).await.code(), "invalid-parameter", "{address}");
    }
}
