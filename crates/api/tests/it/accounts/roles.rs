//! Roles: who may say what they grant, and to whom.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{As, LIMIT, Person, TestApp, origin};

fn grant(permission: &str, reach: &str) -> Value {
    json!({"permission": permission, "reach": reach})
}

async fn granted(who: &As, address: &str, expected: u16) {
    eventually(LIMIT, "the role to be another", async || {
        let answer = who.get(address).await;
        if answer.status == expected { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn a_role_is_defined_granted_withdrawn_and_removed() {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    let ada = app.welcome(&Person::ada()).await;
    let clerk =
        json!({"grants": [grant("users.read", "all"), grant("orders.read", "organization")]});
    let role = format!("/v1/users/{ada}/roles/clerk");
    assert_eq!(operator.put(&role, None).await.code(), "not-found", "there is no such role");
    assert_eq!(operator.put("/v1/roles/clerk", clerk.clone()).await.status, 204);
    let again = operator.put("/v1/roles/clerk", clerk).await;
    assert_eq!(again.status, 204);
    assert_eq!(app.happened("identity.role-defined").await.len(), 2, "nothing is new");
    assert_eq!(operator.put(&role, None).await.status, 204);
    let nobody = "/v1/users/00000000-0000-7000-8000-000000000001/roles/clerk";
    assert_eq!(operator.put(nobody, None).await.code(), "not-found");

    let me = app.as_user(&app.log_in(&Person::ada()).await.access);
    assert_eq!(me.get("/v1/me").await.body["roles"], json!(["clerk"]));
    let held = me.get("/v1/me/permissions").await.body;
    // Who acts in no organization has what is of it as far as it is one's own.
    assert!(held["permissions"].as_array().unwrap().contains(&grant("orders.read", "own")));
    assert_eq!(me.get(&format!("/v1/users/{ada}")).await.status, 200);
    granted(&operator, "/v1/roles", 200).await;
    let roles = operator.get("/v1/roles").await.body;
    let roles: Vec<_> =
        roles["items"].as_array().unwrap().iter().map(|role| &role["role"]).collect();
    assert_eq!(roles, ["clerk", "operator"]);

    assert_eq!(operator.delete(&role).await.status, 204);
    assert_eq!(operator.delete(&role).await.status, 204, "done again it does nothing");
    assert_eq!(app.happened("identity.role-withdrawn").await.len(), 1);
    assert_eq!(operator.delete("/v1/roles/clerk").await.status, 204);
    assert_eq!(operator.delete("/v1/roles/clerk").await.code(), "not-found");
}

#[tokio::test]
async fn what_is_no_permission_is_refused_by_name() {
    let app = TestApp::with_doors().await;
    let operator = app.operator().await;
    for wrong in [
        json!({"grants": [grant("users.read", "all"), grant("users.fly", "all")]}),
        json!({"grants": [grant("Users.Read", "all")]}),
        json!({"grants": [grant("users.read", "everything")]}),
        json!({"grants": [{"permission": "users.read"}]}),
        json!({"grants": [{"permission": "users.read", "reach": "all", "more": 1}]}),
        json!({"grants": vec![grant("users.read", "all"); 101]}),
        json!({"grants": "*"}),
    ] {
        let answer = operator.put("/v1/roles/clerk", wrong).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid-body"));
        assert_eq!(answer.body["errors"][0]["pointer"], "/grants", "{answer:?}");
    }
    for name in ["Clerk", "1st", "a_b", &"a".repeat(65)] {
        let answer = operator.put(&format!("/v1/roles/{name}"), json!({"grants": []})).await;
        assert_eq!(answer.code(), "invalid-parameter", "{name}");
    }
    assert_eq!(app.happened("identity.role-defined").await.len(), 1);
}

/// Nobody gives what he has not.
#[tokio::test]
async fn nobody_grows_by_roles() {
    let app = TestApp::with_doors().await;
    let ada = app
        .appoint(
            &Person::ada(),
            "keeper",
            &json!([
                grant("roles.manage", "all"),
                grant("users.manage", "all"),
                grant("users.read", "organization"),
            ]),
        )
        .await;
    let everything = json!([grant("*", "all")]);
    app.appoint(&Person::bob(), "operator", &everything).await;
    let me = app.as_user(&app.log_in(&Person::ada()).await.access);
    for grants in [
        everything.clone(),
        json!([grant("*", "own")]),
        json!([grant("audit.read", "own")]),
        json!([grant("users.read", "all")]),
        json!([grant("users.read", "own"), grant("orders.read", "own")]),
        json!([grant("account.self", "all")]),
    ] {
        for role in ["keeper", "member", "mine"] {
            let answer = me.put(&format!("/v1/roles/{role}"), json!({"grants": grants})).await;
            assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{role}: {grants}");
        }
    }
    for user in [ada, app.user(&Person::bob().email).await] {
        let answer = me.put(&format!("/v1/users/{user}/roles/operator"), None).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"));
    }
    let less = json!({"grants": [grant("users.read", "own"), grant("roles.manage", "all")]});
    assert_eq!(me.put("/v1/roles/mine", less).await.status, 204);
    assert_eq!(me.put(&format!("/v1/users/{ada}/roles/mine"), None).await.status, 204);
    assert_eq!(app.happened("identity.role-granted").await.len(), 3);
}

/// What a role grants is looked at as it is, not as a process has heard of it.
#[tokio::test]
async fn nobody_is_faster_than_a_definition() {
    let app = TestApp::with_doors().await;
    let grants = json!([grant("users.manage", "all")]);
    let ada = app.appoint(&Person::ada(), "keeper", &grants).await;
    let me = app.as_user(&app.log_in(&Person::ada()).await.access);
    assert_eq!(me.get("/v1/me").await.status, 200, "the log is heard of");
    let everything = serde_json::from_value(json!([grant("*", "all")])).unwrap();
    let role = || "boss".to_owned().try_into().unwrap();
    app.identity().define_role(&origin(), role(), everything).await.unwrap();
    let answer = me.put(&format!("/v1/users/{ada}/roles/boss"), None).await;
    assert_eq!(answer.code(), "forbidden");
    // Nor does a grant count that was looked at before.
    let granted = app.identity().grant_role(&origin(), ada, (role(), [].into())).await;
    assert!(granted.is_err(), "{granted:?}");
    assert_eq!(app.identity().user(ada).await.unwrap().unwrap().roles.len(), 1);
}
