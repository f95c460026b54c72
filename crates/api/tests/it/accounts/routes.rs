//! Every route of the description, as nobody, as a member and as an operator.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{As, Login, Person, TestApp};

/// What strangers may do by default.
const OF_STRANGERS: [&str; 2] = ["account.enter", "description.read"];

/// What members may do besides, in these tests, and how far.
const OF_MEMBERS: [(&str, &str); 4] = [
    ("products.read", "all"),
    ("orders.place", "own"),
    ("orders.read", "own"),
    // No route asks for so little.
    ("users.read", "own"),
];

/// Each operation: how, where, what it takes, and how far that must go.
fn routes() -> Vec<(Method, String, String, String)> {
    let document: Value = serde_json::from_str(api::openapi::text()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let permission = operation["x-permission"].as_str().unwrap();
            routes.push((
                method.to_uppercase().parse().unwrap(),
                path.replace(['{', '}'], ""),
                permission.to_owned(),
                operation["x-reach"].as_str().unwrap().to_owned(),
            ));
        }
    }
    assert!(routes.len() > 30, "{}", routes.len());
    routes
}

/// The status of the answer; the feed has no end, so nothing more of it is read.
async fn status(app: &TestApp, who: &As, method: &Method, address: &str) -> StatusCode {
    let request = who.request(method.clone(), address, None);
    StatusCode::from_u16(app.status(request).await).unwrap()
}

#[tokio::test]
async fn each_is_answered_as_it_is_declared() {
    let app = TestApp::with_doors().await;
    let operator = Person::new("operator@example.org", "nine geese upon the weir");
    app.appoint(&operator, "operator", &json!([{"permission": "*", "reach": "all"}])).await;
    let grants: Vec<_> =
        OF_MEMBERS.map(|(name, reach)| json!({"permission": name, "reach": reach})).into();
    // Whoever is logged in has this role, although nobody grants it.
    app.appoint(&Person::bob(), "member", &json!(grants)).await;
    app.welcome(&Person::ada()).await;
    for (method, address, permission, reach) in routes() {
        let name = format!("{method} {address}: {permission}, {reach}");
        let permission = permission.as_str();
        let is_for_strangers = OF_STRANGERS.contains(&permission);
        let nobody = status(&app, &app.nobody(), &method, &address).await;
        assert_eq!(nobody == StatusCode::UNAUTHORIZED, !is_for_strangers, "{name}: {nobody}");
        assert_ne!(nobody, StatusCode::FORBIDDEN, "{name}");

        // Each asks with a token of its own: some of them end the session.
        let is_for_members = is_for_strangers
            || permission == "account.self"
            || OF_MEMBERS
                .iter()
                .any(|granted| granted.0 == permission && (granted.1 == "all" || reach == "own"));
        let member = app.as_user(&app.log_in(&Person::ada()).await.access);
        let member = status(&app, &member, &method, &address).await;
        assert_eq!(member == StatusCode::FORBIDDEN, !is_for_members, "{name}: {member}");
        assert_ne!(member, StatusCode::UNAUTHORIZED, "{name}");

        let login = app.log_in(&operator).await;
        let asked = status(&app, &app.as_user(&login.access), &method, &address).await;
        assert_ne!(asked, StatusCode::FORBIDDEN, "{name}");
        assert_ne!(asked, StatusCode::UNAUTHORIZED, "{name}");
        let is_fault = asked == StatusCode::INTERNAL_SERVER_ERROR;
        assert!(!is_fault, "{name}: {asked}");
    }
}

/// Each route asks for its own permission and no other: a role with all but one is refused there.
#[tokio::test]
async fn a_role_opens_what_it_grants_and_nothing_else() {
    let app = TestApp::with_doors().await;
    let routes = routes();
    for denied in api::Permission::ALL {
        let denied = denied.as_str();
        if OF_STRANGERS.contains(&denied) || denied == "account.self" {
            continue;
        }
        let others = api::Permission::ALL.iter().filter(|other| other.as_str() != denied);
        let grants: Vec<_> =
            others.map(|other| json!({"permission": other.as_str(), "reach": "all"})).collect();
        let role = format!("not-{}", denied.replace('.', "-"));
        let person = Person::new(&format!("{role}@example.org"), "nine geese upon the weir");
        app.appoint(&person, &role, &json!(grants)).await;
        for (method, address, permission, _) in &routes {
            let login: Login = app.log_in(&person).await;
            let status = status(&app, &app.as_user(&login.access), method, address).await;
            let is_denied = permission == denied;
            assert_eq!(status == StatusCode::FORBIDDEN, is_denied, "{method} {address}: {status}");
        }
    }
}

/// What is no route is told to strangers as to anybody: nothing is found out by it.
#[tokio::test]
async fn what_is_no_route_is_not_found_by_anybody() {
    let app = TestApp::with_doors().await;
    for address in
        ["/v1/nothing", "/v1/users/", "/v1//users", "/V1/users", "/v1/users/%2e%2e/roles"]
    {
        let status = status(&app, &app.nobody(), &Method::GET, address).await;
        assert!(
            matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED),
            "{address}: {status}"
        );
    }
    let answer = app.nobody().ask(Method::PATCH, "/v1/roles", None).await;
    assert_eq!(answer.code(), "method-not-allowed");
    let head = status(&app, &app.nobody(), &Method::HEAD, "/v1/roles").await;
    assert_eq!(head, StatusCode::UNAUTHORIZED, "as GET is");
}

/// `/v1/me` is nobody's where strangers may do everything.
#[tokio::test]
async fn where_nobody_logs_in_nobody_is_me() {
    let app = TestApp::new().await;
    for address in ["/v1/me", "/v1/me/sessions"] {
        assert_eq!(app.get(address).await.code(), "not-logged-in", "{address}");
    }
}
