//! Input made to hurt: refused, and never a fault of the service.

use axum::body::Body;
use axum::http::{HeaderValue, Request};

use crate::support::{TestApp, order, post};

const SOME_ID: &str = "00000000-0000-7000-8000-000000000001";

#[tokio::test]
async fn no_body_makes_the_service_fail() {
    let app = TestApp::new().await;
    let deep = "[".repeat(100_000);
    let deep_lines = format!(r#"{{"lines": {}"#, "[".repeat(100_000));
    let deep_objects = r#"{"lines":"#.repeat(20_000);
    let long_key = format!(r#"{{"{}": 1}}"#, "k".repeat(100_000));
    let long_value = format!(r#"{{"lines": "{}"}}"#, "v☃".repeat(30_000));
    let many: Vec<_> =
        (1..=101_u128).map(|number| uuid::Uuid::from_u128(number).to_string()).collect();
    let many: Vec<_> = many.iter().map(|id| (id.as_str(), 1)).collect();
    let bodies: Vec<Vec<u8>> = vec![
        deep.into(),
        deep_lines.into(),
        deep_objects.into(),
        long_key.into(),
        long_value.into(),
        order(&many).into(),
        vec![0; 10_000],
        vec![0xff; 10_000],
        b"{\"lines\": \"\xc3\x28\"}".to_vec(),
        b"{\"li\xffnes\": []}".to_vec(),
        b"-".to_vec(),
        b"1e99999999999999999999".to_vec(),
        b"{\"lines\": -1e-99999999999999999999}".to_vec(),
        [b"9".repeat(100_000).as_slice(), b"."].concat(),
        b"\"\\u0000\"".to_vec(),
        format!(r#"{{"lines": [{{"product_id": "{{{SOME_ID}}}", "quantity": 1}}]}}"#).into(),
        format!(r#"{{"lines": [{{"product_id": "urn:uuid:{SOME_ID}", "quantity": 1}}]}}"#).into(),
    ];
    for address in ["/v1/orders", "/v1/products"] {
        for body in &bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let answer = app.post(address, body.clone()).await;
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
            let length = answer.body.to_string().len();
            assert!(length < 2_000, "{shown}: {length} bytes for an answer");
            answer.code();
        }
    }
    assert_eq!(app.log_length().await, 0);
}

#[tokio::test]
async fn no_address_makes_the_service_fail() {
    let app = TestApp::new().await;
    for address in [
        "/v1/orders/%ff",
        "/v1/orders/%00",
        "/v1/orders/..%2f..%2fetc",
        "/v1/orders/'%20OR%201=1",
        "/v1/orders/",
        "//v1/orders",
        "/v1/orders?limit=%ff",
        "/v1/orders?limit=99999999999999999999",
        "/v1/orders?limit=-1",
        "/v1/orders?limit=1e1",
        "/v1/orders?limit=",
        "/v1/orders?limit",
        "/v1/orders?=1",
        "/v1/orders?limit=1&limit=1",
        "/v1/orders?cursor=%00",
        "/v1/orders?cursor=ffffffffffffffffffff",
        "/v1/orders?cursor[]=1",
        "/v1/orders/00000000-0000-7000-8000-000000000001?as_of=%ff",
        "/v1/orders/00000000-0000-7000-8000-000000000001?as_of=%00",
        "/v1/orders/00000000-0000-7000-8000-000000000001?as_of=position:9223372036854775807",
        "/v1/orders/00000000-0000-7000-8000-000000000001?as_of=position:9223372036854775808",
        "/v1/orders/00000000-0000-7000-8000-000000000001?as_of=0000-01-01T00:00:00Z",
        "/v1/products/00000000-0000-7000-8000-000000000001?as_of=9999-12-31T23:59:60Z",
        "/v1/products/00000000-0000-7000-8000-000000000001?as_of=-99999-01-01T00:00:00Z",
        "/v1/projections/%ff",
        "/v1/projections/orders_v4",
        "/problems/%ff",
        "/problems/..%2f",
    ] {
        let answer = app.get(address).await;
        assert!((400..500).contains(&answer.status), "{address}: {answer:?}");
        answer.code();
    }
    let long = format!("/v1/orders?{}=1", "a".repeat(30_000));
    let answer = app.get(&long).await;
    assert_eq!(answer.code(), "invalid-parameter");
    assert!(answer.body.to_string().len() < 2_000);
}

#[tokio::test]
async fn no_header_makes_the_service_fail() {
    let app = TestApp::new().await;
    let long = "x".repeat(20_000);
    for name in ["x-request-id", "traceparent", "idempotency-key", "content-type", "accept"] {
        for value in [&b"\xff\xfe"[..], b"", b"\t", b"-", b"00-----", long.as_bytes()] {
            let mut request = post("/v1/orders", "{}");
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert(name, value);
            let answer = app.send_bare(request).await;
            assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_odd_method_is_refused_like_any_other() {
    let app = TestApp::new().await;
    let request =
        Request::builder().method("PROPFIND").uri("/v1/orders").body(Body::empty()).unwrap();
    assert_eq!(app.send(request).await.code(), "method-not-allowed");
    let metrics = app.metrics();
    assert!(metrics.contains(r#"method="other""#), "few values of a label: {metrics}");
}
