//! Parameters that are refused: each by its name.

use crate::support::{Case, TestApp};

async fn table(app: &TestApp, cases: &[(&str, &str)]) -> Vec<Case> {
    let mut table = Vec::new();
    for (what, address) in cases {
        let answer = app.get(address).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid-parameter"), "{what}");
        table.push(Case { what: (*what).to_owned(), sent: (*address).to_owned(), answer });
    }
    table
}

#[tokio::test]
async fn what_is_no_id() {
    let app = TestApp::new().await;
    let cases = [
        ("an order", "/v1/orders/7"),
        ("a product", "/v1/products/mug"),
        ("no UTF-8", "/v1/products/%ff"),
    ];
    insta::assert_json_snapshot!(table(&app, &cases).await);
}

#[tokio::test]
async fn what_is_no_page() {
    let app = TestApp::new().await;
    let cases = [
        ("limit too small", "/v1/orders?limit=0"),
        ("limit too large", "/v1/products?limit=201"),
        ("limit no number", "/v1/orders?limit=many"),
        ("limit twice", "/v1/orders?limit=1&limit=2"),
        ("unknown parameter", "/v1/orders?limit=1&colour=red"),
        ("broken cursor", "/v1/orders?cursor=next"),
        ("cursor nobody signed", "/v1/products?cursor=MTIz"),
        ("unknown status", "/v1/orders?status=lost"),
        ("unknown sort", "/v1/products?sort=price"),
        ("no SKU", "/v1/products?sku=a%20b"),
        ("empty cursor", "/v1/products?cursor="),
    ];
    insta::assert_json_snapshot!(table(&app, &cases).await);
    for fits in ["/v1/orders?limit=1", "/v1/products?limit=200"] {
        assert_eq!(app.get(fits).await.status, 200, "{fits}");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let app = TestApp::new().await;
    let order = app.get("/v1/orders/00000000-0000-7000-8000-000000000001").await;
    insta::assert_json_snapshot!("no_order", order);
    let product = app.get("/v1/products/00000000-0000-7000-8000-000000000001").await;
    insta::assert_json_snapshot!("no_product", product);
}
