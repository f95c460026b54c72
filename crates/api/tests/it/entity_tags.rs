//! `ETag`, `If-None-Match` and `If-Match`: which state a client has seen, and means.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::support::{Answer, Case, TestApp, order, post, request};

fn reprice(id: &str, amount: i64, if_match: &[&str]) -> Request<Body> {
    let body = format!(r#"{{"amount": {amount}, "currency": "EUR"}}"#);
    let mut request = post(&format!("/v1/products/{id}/price"), body);
    *request.method_mut() = Method::PUT;
    for tag in if_match {
        request.headers_mut().append("if-match", tag.parse().unwrap());
    }
    request
}

async fn shown(app: &TestApp, id: &str, if_none_match: &str) -> Answer {
    let mut request = request(Method::GET, &format!("/v1/products/{id}"));
    request.headers_mut().insert("if-none-match", if_none_match.parse().unwrap());
    app.send(request).await
}

#[tokio::test]
async fn who_has_it_is_not_sent_it_again() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    app.project().await;
    let first = app.get(&format!("/v1/products/{mug}")).await;
    let tag = first.headers["etag"].clone();
    assert_eq!(
        (tag.as_str(), first.headers["cache-control"].as_str()),
        ("\"1-2\"", "private, no-cache")
    );
    for has in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = shown(&app, &mug, &has).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, Some("")), "{has}");
        assert_eq!(answer.headers["etag"], tag);
    }
    for has_not in ["\"1-1\"", "\"01-2\"", "1-2", "\"\"", ""] {
        assert_eq!(shown(&app, &mug, has_not).await.status, 200, "{has_not}");
    }
    // What is shown changes with the stock, which is another stream.
    app.append(
        &format!("inventory.stock-{mug}"),
        eventstore::EventType::new("inventory.stock-received", 1),
        &serde_json::json!({"product_id": mug, "quantity": 3}),
    )
    .await;
    app.project().await;
    let answer = shown(&app, &mug, &tag).await;
    assert_eq!((answer.status, answer.headers["etag"].as_str()), (200, "\"1-3\""));
    let then = app.get(&format!("/v1/products/{mug}?as_of=position:2")).await;
    assert_eq!(then.headers["etag"], tag, "what was has the tag it had");
}

#[tokio::test]
async fn a_command_is_bound_to_the_state_its_sender_has_seen() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    let changed = app.send(reprice(&mug, 990, &["\"1-2\""])).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    insta::assert_json_snapshot!("repriced", changed);
    app.project().await;
    let now = app.get(&format!("/v1/products/{mug}")).await;
    assert_eq!(now.body["price"]["amount"], 990);
    assert_eq!(now.headers["etag"], changed.headers["etag"], "the command tells the new one");

    let late = app.send(reprice(&mug, 800, &["\"1-2\""])).await;
    assert_eq!((late.status, late.code()), (412, "precondition-failed"));
    // Stock that moved does not stand against another price: the version alone counts.
    let stock = app.send(reprice(&mug, 800, &["\"2-77\""])).await;
    assert_eq!(stock.status, 204);
    assert_eq!(app.send(reprice(&mug, 700, &["*"])).await.status, 204);
    assert_eq!(app.log_length().await, 5);
}

#[tokio::test]
async fn what_is_no_state_of_it_is_refused() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    let mut table = Vec::new();
    for (what, tags) in [
        ("none", &[][..]),
        ("weak", &["W/\"1-2\""]),
        ("of nothing", &["\"yesterday\""]),
        ("without quotes", &["1-2"]),
        ("two", &["\"1-2\", \"2-3\""]),
        ("twice", &["\"1-2\"", "\"1-2\""]),
        ("empty", &[""]),
    ] {
        let answer = app.send(reprice(&mug, 1, tags)).await;
        table.push(Case { what: what.to_owned(), sent: tags.join(" and "), answer });
    }
    let unknown = "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11";
    let answer = app.send(reprice(unknown, 1, &["*"])).await;
    table.push(Case { what: "no such product".to_owned(), sent: "*".to_owned(), answer });
    insta::assert_json_snapshot!(table);
    assert_eq!(app.log_length().await, 2, "nothing was changed");
}

/// Of many who have seen the same state, one changes it.
#[tokio::test]
async fn of_many_at_once_one_is_first() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    let attempts = (0..20).map(|amount| app.send(reprice(&mug, amount, &["\"1-2\""])));
    let answers = futures_util::future::join_all(attempts).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(204), count(412)), (1, 19));
    assert_eq!(app.log_length().await, 3);
}

#[tokio::test]
async fn an_order_has_the_version_of_its_stream() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    let placed = app.post("/v1/orders", order(&[(&mug, 1)])).await;
    app.project().await;
    let shown = app.get(&placed.headers["location"]).await;
    assert_eq!(shown.headers["etag"], placed.headers["etag"]);
}
