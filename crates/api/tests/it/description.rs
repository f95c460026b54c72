//! The description of the API is what is committed, and what the routes do.

use std::path::Path;

use axum::http::{HeaderValue, Method};
use serde_json::Value;

use crate::support::{TestApp, request};

fn document() -> Value {
    serde_json::from_str(api::openapi::text()).unwrap()
}

#[test]
fn it_is_what_is_committed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == api::openapi::text(), "write it anew with `make contract`");
}

#[tokio::test]
async fn it_is_served() {
    let app = TestApp::new().await;
    let answer = app.get("/openapi.json").await;
    assert_eq!((answer.status, &answer.body), (200, &document()));
}

#[test]
fn every_operation_says_what_it_takes_and_what_can_go_wrong() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            let permission = operation["x-permission"].as_str().unwrap();
            assert!(permission.parse::<api::Permission>().is_ok(), "{name}");
            assert!(!operation["x-problems"].as_array().unwrap().is_empty(), "{name}");
            let in_path = path.matches('{').count();
            let declared = operation["parameters"].as_array().unwrap();
            let declared = declared.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(declared, in_path, "{name}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(content) = response.get("content") else { continue };
                for body in content.as_object().unwrap().values() {
                    let shown = body.get("example").or_else(|| body.get("examples"));
                    assert!(shown.is_some_and(|shown| !shown.is_null()), "{name}: {status}");
                }
            }
        }
    }
}

/// Each route asks for its own permission and no other; of who is not logged in it asks for a login.
#[tokio::test]
async fn nobody_may_do_what_was_not_granted() {
    let document = document();
    for denied in api::Permission::ALL {
        let others = api::Permission::ALL.iter().filter(|other| *other != denied);
        let names: Vec<_> = others.map(|other| other.as_str()).collect();
        let anonymous = api::Grants::named(names).unwrap();
        let app = TestApp::with_grants(anonymous).await;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let address = path.replace(['{', '}'], "");
                let method: Method = method.to_uppercase().parse().unwrap();
                let mut request = request(method.clone(), &address);
                // Some must have a name before anything else is looked at.
                request.headers_mut().insert("idempotency-key", HeaderValue::from_static("one"));
                // The feed has no end: of what is allowed the status is enough.
                let status = app.status(request).await;
                // What is one's own is nobody's here, whatever is granted.
                let is_own = path.starts_with("/v1/me") && path != "/v1/me/permissions"
                    || operation["operationId"] == "createOrganization";
                let is_denied = is_own || operation["x-permission"] == denied.as_str();
                assert_eq!(status == 401, is_denied, "{method} {path}: {status}");
                assert_ne!(status, 403, "{method} {path}");
            }
        }
    }
}
