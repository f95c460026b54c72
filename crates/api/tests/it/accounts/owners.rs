//! Whose orders somebody sees.

use axum::http::Method;
use serde_json::json;

use crate::support::{As, Person, TestApp, product};

#[tokio::test]
async fn members_see_what_they_have_placed_and_operators_everything() {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    let grants = json!([
        {"permission": "orders.read", "reach": "own"},
        {"permission": "orders.place", "reach": "own"},
    ]);
    app.appoint(&Person::bob(), "member", &grants).await;
    app.welcome(&Person::ada()).await;
    let [ada, bob] = [app.log_in(&Person::ada()).await, app.log_in(&Person::bob()).await];
    let [ada, bob] = [&ada, &bob].map(|login| app.as_user(&login.access));
    let mug = serde_json::from_str(&product("MUG-1", 250, "EUR")).unwrap();
    let mug = operator.post("/v1/products", mug).await.body["id"].clone();
    let place = async |who: &As| {
        let line = json!({"product_id": mug, "quantity": 1});
        let body = Some(json!({"lines": [line]}));
        let mut request = who.request(Method::POST, "/v1/orders", body);
        // The same name of another user is another command.
        request.headers_mut().insert("idempotency-key", "first".parse().unwrap());
        let placed = app.send(request).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.headers["location"].clone()
    };
    let (of_ada, of_bob, of_operator) =
        (place(&ada).await, place(&bob).await, place(&operator).await);
    app.project().await;

    let seen = async |who: &As, address: &str| {
        let answer = who.get(address).await;
        let items = answer.body["items"].as_array().unwrap().iter();
        items
            .map(|order| format!("/v1/orders/{}", order["id"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    for sort in ["-placed", "placed"] {
        let list = format!("/v1/orders?sort={sort}");
        assert_eq!(seen(&ada, &list).await, std::slice::from_ref(&of_ada));
        assert_eq!(seen(&bob, &list).await, std::slice::from_ref(&of_bob));
        assert_eq!(seen(&operator, &list).await.len(), 3);
    }
    for (order, is_seen) in [(&of_ada, true), (&of_bob, false), (&of_operator, false)] {
        for moment in ["", "?as_of=2100-01-01T00:00:00Z"] {
            let answer = ada.get(&format!("{order}{moment}")).await;
            assert_eq!(
                answer.status,
                if is_seen { 200 } else { 404 },
                "{order}{moment}: {answer:?}"
            );
            assert_eq!(operator.get(&format!("{order}{moment}")).await.status, 200);
        }
    }
    // A cursor of somebody else leads to nothing of theirs.
    let page = operator.get("/v1/orders?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let next = seen(&ada, &format!("/v1/orders?limit=1&cursor={cursor}")).await;
    assert!(next.iter().all(|order| *order == of_ada), "{next:?}");
}
