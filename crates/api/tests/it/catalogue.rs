//! The catalogue of problems: stable codes, each explained where its `type` leads.

use std::collections::BTreeSet;

use api::problem::{Code, Problem};
use axum::response::IntoResponse;

use crate::support::TestApp;

#[tokio::test]
async fn every_code_is_explained_where_its_type_leads() {
    let app = TestApp::new().await;
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        let entry = code.entry();
        assert!(seen.insert(entry.code), "{} is there twice", entry.code);
        let kebab =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(entry.code.split('-').all(kebab), "{}", entry.code);
        assert_eq!(entry.status, code.status().as_u16());
        assert!((400..600).contains(&entry.status), "{}", entry.code);

        let response = Problem::new(*code, "detail").into_response();
        assert_eq!(response.status(), code.status());
        let is_momentary = entry.status == 503 || *code == Code::IdempotencyKeyInUse;
        assert_eq!(response.headers().contains_key("retry-after"), is_momentary, "{}", entry.code);
        let answer = app.get(&format!("/problems/{}", entry.code)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, serde_json::to_value(entry).unwrap());
    }
}

#[tokio::test]
async fn the_whole_catalogue() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(app.get("/problems").await);
}

#[tokio::test]
async fn a_code_that_is_not_in_it() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(app.get("/problems/no-such-problem").await);
}
