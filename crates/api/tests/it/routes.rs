//! Addresses and methods that lead nowhere.

use axum::http::Method;

use crate::support::{TestApp, request};

#[tokio::test]
async fn an_unknown_route() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(app.get("/v1/nothing").await);
    let posted = app.post("/v2/orders", "{}").await;
    assert_eq!(posted.code(), "not-found");
}

#[tokio::test]
async fn a_wrong_method() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(
        "on_a_collection",
        app.send(request(Method::DELETE, "/v1/orders")).await
    );
    let one = "/v1/products/00000000-0000-7000-8000-000000000001";
    insta::assert_json_snapshot!("on_one", app.send(request(Method::PUT, one)).await);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = TestApp::new().await;
    let answer = app.send(request(Method::HEAD, "/v1/orders")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, Some("")));
}

#[tokio::test]
async fn requests_are_counted_by_route_template_and_status() {
    let app = TestApp::new().await;
    app.get("/v1/products").await;
    app.get("/v1/products/00000000-0000-7000-8000-000000000001").await;
    app.get("/v1/products/00000000-0000-7000-8000-000000000002").await;
    app.get("/wp-login.php").await;
    app.send(request(Method::DELETE, "/v1/products")).await;
    let metrics = app.metrics();
    for line in [
        r#"annals_http_requests_total{method="GET",route="/v1/products",status="200"} 1"#,
        r#"annals_http_requests_total{method="GET",route="/v1/products/{id}",status="404"} 2"#,
        r#"annals_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"annals_http_requests_total{method="DELETE",route="/v1/products",status="405"} 1"#,
        r#"annals_http_request_seconds_count{method="GET",route="/v1/products/{id}"} 2"#,
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in\n{metrics}");
    }
}
