//! The list of users, for operators.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{As, Person, TestApp};

const ROLE: &str = "clerk";

fn person(number: usize) -> Person {
    Person::new(&format!("person-{number}@example.org"), "a lovely day in Ely")
}

fn emails(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["email"].as_str().unwrap_or("erased").to_owned()).collect()
}

async fn listed(who: &As, query: &str) -> Vec<String> {
    let answer = who.get(&format!("/v1/users{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    emails(&answer.body)
}

/// An operator, and five people, of whom the last two have a role.
async fn crowd() -> (TestApp, As) {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    for number in 0..5 {
        app.clock().pass(TimeDelta::seconds(1));
        if number < 3 {
            app.welcome(&person(number)).await;
        } else {
            app.appoint(&person(number), ROLE, &json!([])).await;
        }
    }
    (app, operator)
}

#[tokio::test]
async fn users_come_page_by_page_the_newest_first() {
    let (app, operator) = crowd().await;
    app.project().await;
    let mut seen = Vec::new();
    let mut next = "/v1/users?limit=2".to_owned();
    for turn in 0.. {
        let page = operator.get(&next).await.body;
        seen.extend(emails(&page));
        // Who registers meanwhile is not seen, and moves nobody to another page.
        app.welcome(&person(10 + turn)).await;
        app.project().await;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/v1/users?limit=2&cursor={cursor}");
    }
    let mut expected = vec!["operator@example.org".to_owned()];
    expected.extend((0..5).map(|number| person(number).email));
    expected.reverse();
    assert_eq!(seen, expected);
    let foreign = next.replace("limit=2", "limit=2&standing=active");
    assert_eq!(operator.get(&foreign).await.code(), "invalid-parameter");
}

#[tokio::test]
async fn users_are_found_by_how_they_stand_by_role_and_by_address() {
    let (app, operator) = crowd().await;
    let suspended = app.user(&person(1).email).await;
    let closed = app.user(&person(2).email).await;
    assert_eq!(operator.put(&format!("/v1/users/{suspended}/suspension"), None).await.status, 204);
    assert_eq!(operator.put(&format!("/v1/users/{closed}/closure"), None).await.status, 204);
    app.register(&person(5)).await;
    app.clock().pass(TimeDelta::minutes(1));
    app.log_in(&person(4)).await;
    app.project().await;
    let email = |number: usize| person(number).email;
    let who = &operator;
    assert_eq!(listed(who, "?standing=suspended").await, [email(1)]);
    assert_eq!(listed(who, "?standing=deactivated").await, [email(2)]);
    let active = listed(who, "?standing=active").await;
    assert_eq!(active, [email(5), email(4), email(3), email(0), "operator@example.org".into()]);
    assert_eq!(listed(who, "?role=clerk").await, [email(4), email(3)]);
    assert_eq!(listed(who, "?role=nothing").await, [""; 0]);
    assert_eq!(listed(who, "?email=PERSON-4@example.org").await, [email(4)]);
    assert_eq!(listed(who, "?email=person-4@example.org&role=clerk").await, [email(4)]);
    assert_eq!(listed(who, "?email=person-4@example.org&standing=suspended").await, [""; 0]);
    assert_eq!(listed(who, "?email=nobody@example.org").await, [""; 0]);
    for wrong in ["?standing=asleep", "?role=A", "?email=ada", "?name=ada", "?role=a&role=b"] {
        let answer = operator.get(&format!("/v1/users{wrong}")).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid-parameter"), "{wrong}");
    }
    let items = operator.get("/v1/users?limit=2").await.body["items"].clone();
    let expected = json!([
        {
            "id": app.user(&email(5)).await,
            "email": email(5),
            "is_verified": false,
            "has_second_factor": false,
            "name": "Ada",
            "standing": "active",
            "roles": [],
            "registered_at": "2026-01-02T03:04:10.678Z",
            "last_login_at": null,
        },
        {
            "id": app.user(&email(4)).await,
            "email": email(4),
            "is_verified": true,
            "has_second_factor": false,
            "name": "Ada",
            "standing": "active",
            "roles": [ROLE],
            "registered_at": "2026-01-02T03:04:10.678Z",
            "last_login_at": "2026-01-02T03:05:10.678Z",
        },
    ]);
    assert_eq!(items, expected);
    let role = format!("/v1/users/{}/roles/{ROLE}", app.user(&email(4)).await);
    let withdrawn = operator.delete(&role).await;
    app.project().await;
    let mut request = operator.request(Method::GET, "/v1/users?role=clerk", None);
    let position = withdrawn.headers["annals-position"].parse().unwrap();
    request.headers_mut().insert("annals-min-position", position);
    assert_eq!(emails(&app.send(request).await.body), [email(3)]);
}

/// The read model holds nothing that could tell who somebody is.
#[tokio::test]
async fn what_is_listed_is_opened_for_the_page_only() {
    let (app, operator) = crowd().await;
    app.project().await;
    let rows: Vec<String> = sqlx::query_scalar("SELECT u::text FROM users_v1.users AS u")
        .fetch_all(&app.pool())
        .await
        .unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert!(!row.contains("example.org") && !row.contains("Ada"), "{row}");
    }
    assert_eq!(listed(&operator, "").await.len(), 6);
}
