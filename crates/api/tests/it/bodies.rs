//! Bodies that are refused: each with a pointer to what is wrong.

use axum::http::header;

use crate::support::{BODY_BYTES, Case, TestApp, order, post, product};

/// Posts each body; answers as a table for the snapshot.
async fn table(app: &TestApp, address: &str, cases: &[(&str, &str)]) -> Vec<Case> {
    let mut table = Vec::new();
    for (what, body) in cases {
        let answer = app.post(address, (*body).to_owned()).await;
        table.push(Case { what: (*what).to_owned(), sent: (*body).to_owned(), answer });
    }
    assert_eq!(app.log_length().await, 0, "nothing was changed");
    table
}

fn one_problem(table: &[Case], status: u16, code: &str) {
    for case in table {
        assert_eq!((case.answer.status, case.answer.code()), (status, code), "{}", case.what);
    }
}

#[tokio::test]
async fn what_is_no_json() {
    let app = TestApp::new().await;
    let cases = [
        ("nothing", ""),
        ("syntax", r#"{"lines": oops}"#),
        ("truncated", r#"{"lines": [{"product_id": "#),
        (
            "trailing comma",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1},]}"#,
        ),
        ("not a number", r#"{"lines": NaN}"#),
        ("broken escape", r#"{"li\xnes": []}"#),
        (
            "two documents",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1}]} {}"#,
        ),
        ("byte order mark", "\u{feff}{}"),
    ];
    let table = table(&app, "/v1/orders", &cases).await;
    one_problem(&table, 400, "malformed-json");
    insta::assert_json_snapshot!(table);
}

#[tokio::test]
async fn what_is_no_order() {
    let app = TestApp::new().await;
    let cases = [
        ("not an object", "[]"),
        (
            "an array of the fields",
            r#"[[{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1}]]"#,
        ),
        ("null", "null"),
        ("missing field", "{}"),
        ("unknown field", r#"{"coupon/~code": 1, "lines": []}"#),
        ("not an array", r#"{"lines": {}}"#),
        ("empty lines", r#"{"lines": []}"#),
        ("line is an array", r#"{"lines": [["00000000-0000-7000-8000-000000000001", 1]]}"#),
        (
            "line misses a field",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001"}]}"#,
        ),
        (
            "line has an unknown field",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1, "price": 1}]}"#,
        ),
        (
            "field twice",
            r#"{"lines": [{"quantity": 1, "quantity": 2, "product_id": "00000000-0000-7000-8000-000000000001"}]}"#,
        ),
        ("product id is no UUID", r#"{"lines": [{"product_id": "mug", "quantity": 1}]}"#),
        ("product id is a number", r#"{"lines": [{"product_id": 7, "quantity": 1}]}"#),
        (
            "quantity zero",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 0}]}"#,
        ),
        (
            "quantity negative",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": -1}]}"#,
        ),
        (
            "quantity too large",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1000001}]}"#,
        ),
        (
            "quantity beyond 64 bits",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 18446744073709551615}]}"#,
        ),
        (
            "quantity beyond all bits",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 99999999999999999999999}]}"#,
        ),
        (
            "quantity a float",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1.5}]}"#,
        ),
        (
            "quantity a string",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": "1"}]}"#,
        ),
        (
            "quantity null",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": null}]}"#,
        ),
        (
            "quantity true",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": true}]}"#,
        ),
        (
            "second line is wrong",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1}, {"product_id": "00000000-0000-7000-8000-000000000002", "quantity": 0}]}"#,
        ),
        (
            "product in two lines",
            r#"{"lines": [{"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 1}, {"product_id": "00000000-0000-7000-8000-000000000001", "quantity": 2}]}"#,
        ),
    ];
    let table = table(&app, "/v1/orders", &cases).await;
    one_problem(&table, 422, "invalid-body");
    insta::assert_json_snapshot!(table);
}

#[tokio::test]
async fn what_is_no_product() {
    let app = TestApp::new().await;
    let cases = [
        ("an array of the fields", r#"["Mug-1", "Mug", {"amount": 1, "currency": "EUR"}, 1]"#),
        ("missing field", r#"{"sku": "Mug-1", "name": "Mug", "stock": 1}"#),
        (
            "everything at once",
            r#"{"sku": "\ud800", "name": "", "price": {"amount": -1, "currency": "XXY", "tax": 0}, "stock": 1e999, "colour": "red", "colour": 2}"#,
        ),
        (
            "blank name",
            r#"{"sku": "Mug-1", "name": "  ", "price": {"amount": 1, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "name with a control character",
            r#"{"sku": "Mug-1", "name": "Mug\u0000", "price": {"amount": 1, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "bad sku",
            r#"{"sku": "Mug 1", "name": "Mug", "price": {"amount": 1, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "empty sku",
            r#"{"sku": "", "name": "Mug", "price": {"amount": 1, "currency": "EUR"}, "stock": 1}"#,
        ),
        ("price a number", r#"{"sku": "Mug-1", "name": "Mug", "price": 12.50, "stock": 1}"#),
        ("price an array", r#"{"sku": "Mug-1", "name": "Mug", "price": [1, "EUR"], "stock": 1}"#),
        (
            "price misses its currency",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 1}, "stock": 1}"#,
        ),
        (
            "price has an unknown field",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 1, "currency": "EUR", "cents": 1}, "stock": 1}"#,
        ),
        (
            "amount a float",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 12.5, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "amount negative",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": -1, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "amount an object",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": {}, "currency": "EUR"}, "stock": 1}"#,
        ),
        (
            "unknown currency",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 1, "currency": "EURO"}, "stock": 1}"#,
        ),
        (
            "currency in small letters",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 1, "currency": "eur"}, "stock": 1}"#,
        ),
        (
            "stock negative",
            r#"{"sku": "Mug-1", "name": "Mug", "price": {"amount": 1, "currency": "EUR"}, "stock": -1}"#,
        ),
    ];
    let table = table(&app, "/v1/products", &cases).await;
    one_problem(&table, 422, "invalid-body");
    insta::assert_json_snapshot!(table);
}

#[tokio::test]
async fn what_is_not_declared_as_json() {
    let app = TestApp::new().await;
    let mut answers = Vec::new();
    for declared in [None, Some("text/plain"), Some("application/problem+json"), Some("")] {
        let mut request = post("/v1/products", product("Mug-1", 1, "EUR"));
        request.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(declared) = declared {
            request.headers_mut().insert(header::CONTENT_TYPE, declared.parse().unwrap());
        }
        answers.push(app.send(request).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(app.log_length().await, 0);
    insta::assert_json_snapshot!(answers[0]);
}

#[tokio::test]
async fn json_may_be_declared_in_several_ways() {
    let app = TestApp::new().await;
    let declared = ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"];
    for (number, declared) in declared.into_iter().enumerate() {
        let body = product(&format!("Mug-{number}"), 1, "EUR");
        let mut request = post("/v1/products", body);
        request.headers_mut().insert(header::CONTENT_TYPE, declared.parse().unwrap());
        assert_eq!(app.send(request).await.status, 201, "{declared}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit() {
    let app = TestApp::new().await;
    let answer = app.post("/v1/orders", vec![b' '; 1024 * 1024]).await;
    let one_more = app.post("/v1/orders", vec![b' '; BODY_BYTES + 1]).await;
    assert_eq!(answer, one_more);
    insta::assert_json_snapshot!(answer);
    // To the last byte it is read.
    assert_eq!(app.post("/v1/orders", vec![b' '; BODY_BYTES]).await.code(), "malformed-json");
}

#[tokio::test]
async fn what_the_log_does_not_allow() {
    let app = TestApp::new().await;
    let euro = app.list("Mug-1", 1250, "EUR").await;
    let franc = app.list("Mug-2", 1250, "CHF").await;
    let dear = app.list("Mug-3", i64::MAX, "EUR").await;
    let unknown = "00000000-0000-7000-8000-000000000001";
    let length = app.log_length().await;
    let mut table = Vec::new();
    for (what, body) in [
        ("unknown product", order(&[(&euro, 1), (unknown, 1)])),
        ("mixed currencies", order(&[(&euro, 1), (&franc, 1)])),
        ("total too large", order(&[(&euro, 1), (&dear, 1)])),
        ("line too large", order(&[(&dear, 2)])),
    ] {
        let answer = app.post("/v1/orders", body.clone()).await;
        table.push(Case { what: what.to_owned(), sent: body, answer });
    }
    let taken = product("mUG-1", 1, "EUR");
    let answer = app.post("/v1/products", taken.clone()).await;
    table.push(Case { what: "sku taken".to_owned(), sent: taken, answer });
    assert_eq!(app.log_length().await, length, "nothing was changed");
    insta::assert_json_snapshot!(table);
}
