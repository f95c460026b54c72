//! Who belongs to an organization, and what members see and do.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use crate::support::{Answer, As, LIMIT, Person, TestApp, origin, product};

fn grace() -> Person {
    Person::new("grace@example.org", "a parrot upon the mast")
}

/// Somebody who may do what everybody may: create organizations.
async fn member(app: &TestApp, person: &Person) -> As {
    app.welcome(person).await;
    app.as_user(&app.log_in(person).await.access)
}

async fn with_members() -> TestApp {
    let app = TestApp::with_doors().await;
    let grants = json!([{"permission": "organizations.create", "reach": "own"}]);
    app.appoint(&Person::new("first@example.org", "six otters in a row"), "member", &grants).await;
    app
}

/// Asks under a name of its own, if it is a command that takes one.
async fn named(app: &TestApp, who: &As, name: &str, asked: (Method, &str, Value)) -> Answer {
    let (method, address, body) = asked;
    let mut request = who.request(method, address, Some(body));
    request.headers_mut().insert("idempotency-key", name.parse().unwrap());
    app.send(request).await
}

async fn create(app: &TestApp, who: &As, name: &str) -> String {
    let asked = (Method::POST, "/v1/organizations", json!({"name": name}));
    let answer = named(app, who, name, asked).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn invite(app: &TestApp, who: &As, of: &str, (email, role): (&str, &str)) -> Answer {
    let address = format!("/v1/organizations/{of}/invitations");
    let body = json!({"email": email, "role": role});
    let name = origin().correlation_id.to_string();
    named(app, who, &name, (Method::POST, &address, body)).await
}

/// Makes somebody a member who is registered.
async fn join(app: &TestApp, owner: &As, of: &str, (who, email, role): (&As, &str, &str)) {
    let invited = invite(app, owner, of, (email, role)).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let id = invited.body["id"].as_str().unwrap();
    let accepted = who.put(&format!("/v1/me/invitations/{id}/acceptance"), None).await;
    assert_eq!(accepted.status, 204, "{accepted:?}");
}

async fn place(app: &TestApp, who: &As, of: Option<&str>, product: &Value, key: &str) -> Answer {
    let body = json!({"lines": [{"product_id": product, "quantity": 1}]});
    let mut request = who.request(Method::POST, "/v1/orders", Some(body));
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    if let Some(of) = of {
        request.headers_mut().insert("annals-organization", of.parse().unwrap());
    }
    app.send(request).await
}

async fn within(app: &TestApp, who: &As, of: &str, address: &str) -> Answer {
    let mut request = who.request(Method::GET, address, None);
    request.headers_mut().insert("annals-organization", of.parse().unwrap());
    app.send(request).await
}

/// Waits until somebody does not belong to it any more, as far as the process knows.
async fn is_out(who: &As, address: &str) {
    eventually(LIMIT, "the member to be out", async || {
        let status = who.get(address).await.status;
        if status == 403 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn an_organization_from_its_beginning_to_its_end() {
    let app = with_members().await;
    let ada = member(&app, &Person::ada()).await;
    let id = create(&app, &ada, "Teapots & Co.").await;
    // The same command again is the same organization.
    assert_eq!(create(&app, &ada, "Teapots & Co.").await, id);
    let address = format!("/v1/organizations/{id}");
    assert_eq!(ada.get(&address).await.body["name"], "Teapots & Co.");
    let renamed = ada.put(&format!("{address}/name"), json!({"name": "Teapots"})).await;
    assert_eq!(renamed.status, 204, "{renamed:?}");
    assert_eq!(ada.get(&address).await.body["name"], "Teapots");

    // Invited before there is an account.
    let person = grace();
    let invited = invite(&app, &ada, &id, ("GRACE@example.org", "organization-member")).await;
    let invitation = invited.body["id"].as_str().unwrap().to_owned();
    assert_eq!(
        invited.headers["location"],
        format!("{address}/invitations/{invitation}"),
        "{invited:?}"
    );
    let open = ada.get(&format!("{address}/invitations")).await;
    assert_eq!(open.body["items"][0]["email"], "GRACE@example.org", "{open:?}");
    let grace = member(&app, &person).await;
    let mine = grace.get("/v1/me/invitations").await;
    assert_eq!(mine.body["items"][0]["id"], invitation, "{mine:?}");
    assert_eq!(mine.body["items"][0]["organization"], "Teapots");
    assert_eq!(grace.get(&address).await.status, 403, "she has not accepted");
    let acceptance = format!("/v1/me/invitations/{invitation}/acceptance");
    assert_eq!(grace.put(&acceptance, None).await.status, 204);
    assert_eq!(grace.put(&acceptance, None).await.status, 404, "it is over");
    assert_eq!(grace.get("/v1/me/invitations").await.body["items"], json!([]));

    // She reads, and manages nothing.
    assert_eq!(grace.get(&address).await.status, 200);
    for (method, path, body) in [
        (Method::PUT, "/name", json!({"name": "Mine"})),
        (Method::GET, "/invitations", Value::Null),
        (Method::PUT, "/owner", json!({"user_id": app.user(&person.email).await})),
        (Method::DELETE, "", Value::Null),
    ] {
        let path = format!("{address}{path}");
        let answer = grace.ask(method, &path, Some(body).filter(|body| !body.is_null())).await;
        assert_eq!(answer.code(), "forbidden", "{path}");
    }
    let members = grace.get(&format!("{address}/members")).await;
    assert_eq!(members.body["items"].as_array().unwrap().len(), 2);
    assert!(members.body["items"][0].get("email").is_none(), "only for who manages: {members:?}");
    let members = ada.get(&format!("{address}/members?limit=1")).await;
    assert!(members.body["items"][0]["email"].is_string(), "{members:?}");
    assert!(members.body["next_cursor"].is_string());

    // An owner cannot go; whose it is then can.
    let leave = format!("/v1/me/organizations/{id}");
    assert_eq!(ada.delete(&leave).await.code(), "rejected");
    let (of_ada, of_grace) = (app.user(&Person::ada().email).await, app.user(&person.email).await);
    let transferred = ada.put(&format!("{address}/owner"), json!({"user_id": of_grace})).await;
    assert_eq!(transferred.status, 204, "{transferred:?}");
    eventually(LIMIT, "her to own it no more", async || {
        let held = within(&app, &ada, &id, "/v1/me/permissions").await.body;
        let held = held["permissions"].as_array().unwrap().clone();
        let owns = held.iter().any(|held| held["permission"] == "organizations.own");
        if owns { Err(held) } else { Ok(()) }
    })
    .await;
    assert_eq!(ada.delete(&address).await.code(), "forbidden");
    app.project().await;
    let mine = ada.get("/v1/me/organizations").await;
    assert_eq!(mine.body["items"][0]["role"], "organization-admin", "{mine:?}");
    assert_eq!(
        grace.get("/v1/me/organizations").await.body["items"][0]["role"],
        "organization-owner"
    );
    let removed = grace.delete(&format!("{address}/members/{of_ada}")).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    is_out(&ada, &address).await;
    assert_eq!(grace.delete(&address).await.status, 204);
    is_out(&grace, &address).await;
    app.project().await;
    assert_eq!(grace.get("/v1/me/organizations").await.body["items"], json!([]));
    let operator = app.operator().await;
    assert_eq!(operator.get(&address).await.status, 404, "to who may see all it is not there");
}

/// What an organization does is seen by its members and by nobody else, whoever they are.
#[tokio::test]
async fn tenants_see_nothing_of_each_other() {
    let app = with_members().await;
    let operator = app.operator().await;
    let mug = serde_json::from_str(&product("MUG-1", 250, "EUR")).unwrap();
    let mug = operator.post("/v1/products", mug).await.body["id"].clone();
    let [ada, grace, bob] = [&Person::ada(), &grace(), &Person::bob()];
    let [ada, grace, bob] =
        [member(&app, ada).await, member(&app, grace).await, member(&app, bob).await];
    let [teapots, mugs] = [create(&app, &ada, "Teapots").await, create(&app, &grace, "Mugs").await];
    join(&app, &ada, &teapots, (&bob, "bob@example.org", "organization-member")).await;
    join(&app, &grace, &mugs, (&bob, "bob@example.org", "organization-member")).await;
    let mut orders = Vec::new();
    // The same name in another organization is another command.
    for (who, of) in [(&ada, &teapots), (&bob, &teapots), (&grace, &mugs), (&bob, &mugs)] {
        let placed = place(&app, who, Some(of), &mug, "first").await;
        assert_eq!(placed.status, 201, "{placed:?}");
        orders.push(placed.headers["location"].clone());
    }
    assert_eq!(
        place(&app, &ada, None, &mug, "none").await.code(),
        "forbidden",
        "for no organization"
    );
    assert_eq!(place(&app, &ada, Some(&mugs), &mug, "other").await.code(), "forbidden");
    app.project().await;

    let seen = async |who: &As, of: &str| {
        let answer = within(&app, who, of, "/v1/orders?sort=placed").await;
        let items = answer.body["items"].as_array().unwrap().clone();
        let listed: Vec<_> = items
            .iter()
            .map(|order| format!("/v1/orders/{}", order["id"].as_str().unwrap()))
            .collect();
        for order in &orders {
            for moment in ["", "?as_of=2100-01-01T00:00:00Z"] {
                let shown = within(&app, who, of, &format!("{order}{moment}")).await;
                assert_eq!(
                    shown.status == 200,
                    listed.contains(order),
                    "{order}{moment}: {shown:?}"
                );
                assert!(matches!(shown.status, 200 | 404), "{shown:?}");
            }
            assert!(items.iter().all(|order| order["lines"].as_array().unwrap().len() == 1));
        }
        listed
    };
    assert_eq!(seen(&ada, &teapots).await, orders[..2], "an owner sees what members did");
    assert_eq!(seen(&bob, &teapots).await, orders[1..2], "a member sees his own, of this one");
    assert_eq!(seen(&grace, &mugs).await, orders[2..]);
    assert_eq!(seen(&bob, &mugs).await, orders[3..]);
    // Whoever may see everything sees all of it, or what he asks for.
    assert_eq!(operator.get("/v1/orders").await.body["items"].as_array().unwrap().len(), 4);
    assert_eq!(within(&app, &operator, &mugs, "/v1/orders").await.code(), "forbidden");
    // A cursor of another tenant leads nowhere else.
    let page = within(&app, &ada, &teapots, "/v1/orders?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let page = within(&app, &grace, &mugs, &format!("/v1/orders?limit=1&cursor={cursor}")).await;
    let items = page.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    for order in items {
        assert!(orders[2..].contains(&format!("/v1/orders/{}", order["id"].as_str().unwrap())));
    }
    // Every event that was written for a tenant says so.
    let events: Vec<(String, Option<Uuid>)> = sqlx::query_as(
        "SELECT type, tenant FROM eventstore.events WHERE type LIKE 'ordering.%' OR type LIKE 'organizations.%'",
    )
    .fetch_all(&app.pool())
    .await
    .unwrap();
    assert!(events.iter().all(|(_, tenant)| tenant.is_some()), "{events:?}");
}

/// Every route with an organization in its address, as the owner of another one: nothing is told, not
/// even that it is there.
#[tokio::test]
async fn the_owner_of_another_learns_nothing_by_any_route() {
    let app = with_members().await;
    let [ada, grace] = [member(&app, &Person::ada()).await, member(&app, &grace()).await];
    let theirs = create(&app, &ada, "Teapots").await;
    let nowhere = "01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11";
    let document: Value = serde_json::from_str(api::openapi::text()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let in_address = path.starts_with("/v1/organizations/{organization}");
            let parameters = operation["parameters"].as_array().unwrap();
            let in_header = parameters.iter().any(|known| known["name"] == "Annals-Organization");
            if !in_address && !in_header {
                continue;
            }
            tried += 1;
            let at = |organization: &str| {
                let path = path.replace("{organization}", organization);
                let path = ["{id}", "{user}", "{invitation}"]
                    .iter()
                    .fold(path, |path, part| path.replace(part, nowhere));
                let mut request = grace.request(method.clone(), &path, Some(json!({})));
                if in_header {
                    request
                        .headers_mut()
                        .insert("annals-organization", organization.parse().unwrap());
                }
                request
            };
            let [of_theirs, of_none] = [app.send(at(&theirs)).await, app.send(at(nowhere)).await];
            assert_eq!(of_theirs.status, 403, "{method} {path}");
            // However the address is written, and whatever else the header names.
            let mine = create(&app, &grace, &format!("Cups {tried}")).await;
            let coded = format!("%{:02x}{}", theirs.as_bytes()[0], &theirs[1..]);
            for acting in [None, Some(&mine)].into_iter().filter(|_| in_address) {
                let mut request = at(&coded);
                if let Some(acting) = acting {
                    request.headers_mut().insert("annals-organization", acting.parse().unwrap());
                }
                let answer = app.send(request).await;
                assert!(matches!(answer.status, 400 | 403), "{method} {path}: {answer:?}");
            }
            assert_eq!(of_theirs.body, of_none.body, "{method} {path}: that it is there is told");
            // One of these closes it.
            let own = create(&app, &grace, &format!("Mugs {tried}")).await;
            let of_own = app.send(at(&own)).await;
            assert_ne!(of_own.status, 403, "{method} {path}: {of_own:?}");
        }
    }
    assert!(tried >= 12, "{tried}");
    // What the header names is meant, whatever the address says.
    let own = create(&app, &grace, "Mugs").await;
    let mut request = grace.request(Method::GET, &format!("/v1/organizations/{own}"), None);
    request.headers_mut().insert("annals-organization", theirs.parse().unwrap());
    assert_eq!(app.send(request).await.code(), "invalid-header");
}

/// Nobody gives away more than he has, and the owner's role is nobody's to give.
#[tokio::test]
async fn roles_are_given_as_far_as_they_are_held() {
    let app = with_members().await;
    let [ada, grace] = [member(&app, &Person::ada()).await, member(&app, &grace()).await];
    let id = create(&app, &ada, "Teapots").await;
    join(&app, &ada, &id, (&grace, "grace@example.org", "organization-admin")).await;
    let powers = json!([{"permission": "*", "reach": "all"}]);
    app.appoint(&Person::new("chief@example.org", "nine geese upon the weir"), "chief", &powers)
        .await;
    for (role, code) in [
        ("organization-owner", "rejected"),
        ("chief", "forbidden"),
        ("no-such-role", "invalid-body"),
    ] {
        for who in [&ada, &grace] {
            let answer = invite(&app, who, &id, ("new@example.org", role)).await;
            assert_eq!(answer.code(), code, "{role}: {answer:?}");
        }
    }
    let of_ada = app.user(&Person::ada().email).await;
    let demote = format!("/v1/organizations/{id}/members/{of_ada}");
    let answer = grace.put(&demote, json!({"role": "organization-member"})).await;
    assert_eq!(answer.code(), "rejected", "the owner stays the owner: {answer:?}");
    assert_eq!(grace.delete(&demote).await.code(), "rejected");
}

/// An invitation is of the address: who has another one does not find it.
#[tokio::test]
async fn an_invitation_is_of_who_has_proved_the_address() {
    let app = with_members().await;
    let [ada, bob] = [member(&app, &Person::ada()).await, member(&app, &Person::bob()).await];
    let id = create(&app, &ada, "Teapots").await;
    let invited = invite(&app, &ada, &id, ("grace@example.org", "organization-member")).await;
    let invitation = invited.body["id"].as_str().unwrap().to_owned();
    let acceptance = format!("/v1/me/invitations/{invitation}/acceptance");
    assert_eq!(bob.put(&acceptance, None).await.status, 404);
    assert_eq!(bob.delete(&format!("/v1/me/invitations/{invitation}")).await.status, 404);
    assert_eq!(bob.get("/v1/me/invitations").await.body["items"], json!([]));
    // Asked for again it replaces the one of before.
    let again = invite(&app, &ada, &id, ("Grace@Example.org", "organization-admin")).await;
    assert_ne!(again.body["id"], invited.body["id"]);
    let grace = member(&app, &grace()).await;
    assert_eq!(grace.put(&acceptance, None).await.status, 404, "it was replaced");
    // And it is over some day.
    app.pass(chrono::TimeDelta::days(8)).await;
    let grace_later = app.as_user(&app.log_in(&self::grace()).await.access);
    let second = again.body["id"].as_str().unwrap();
    let answer = grace_later.put(&format!("/v1/me/invitations/{second}/acceptance"), None).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(grace_later.get("/v1/me/invitations").await.body["items"], json!([]));
}

/// Who is removed is out on every process within a second, with the token he has.
#[tokio::test]
async fn who_is_removed_is_out_everywhere() {
    let app = with_members().await;
    let [ada, grace] = [member(&app, &Person::ada()).await, member(&app, &grace()).await];
    let id = create(&app, &ada, "Teapots").await;
    join(&app, &ada, &id, (&grace, "grace@example.org", "organization-member")).await;
    let beside = app.another().await;
    let login = app.log_in(&self::grace()).await;
    let there = As::user(&beside.router, &login.access);
    let address = format!("/v1/organizations/{id}");
    assert_eq!(there.get(&address).await.status, 200);
    let of_grace = app.user("grace@example.org").await;
    let removed = ada.delete(&format!("{address}/members/{of_grace}")).await;
    let position = removed.headers["annals-position"].parse::<i64>().unwrap();
    eventually(LIMIT, "the other process to hear of it", async || {
        let known = beside.access.position().get();
        if known >= position { Ok(()) } else { Err(known) }
    })
    .await;
    assert_eq!(there.get(&address).await.status, 403);
    // And in again at once, where it was just refused.
    join(&app, &ada, &id, (&grace, "grace@example.org", "organization-member")).await;
    assert_eq!(there.get(&address).await.status, 200);
}

/// Who is removed has not invited himself again in advance, and nobody's mailbox is filled.
#[tokio::test]
async fn invitations_are_of_who_may_invite_and_are_counted() {
    let app = with_members().await;
    let [ada, grace] = [member(&app, &Person::ada()).await, member(&app, &grace()).await];
    let bob = member(&app, &Person::bob()).await;
    let id = create(&app, &ada, "Teapots").await;
    join(&app, &ada, &id, (&grace, "grace@example.org", "organization-admin")).await;
    let invited = invite(&app, &grace, &id, ("bob@example.org", "organization-admin")).await;
    let invitation = invited.body["id"].as_str().unwrap().to_owned();
    let of_grace = app.user("grace@example.org").await;
    let removed = ada.delete(&format!("/v1/organizations/{id}/members/{of_grace}")).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    let acceptance = format!("/v1/me/invitations/{invitation}/acceptance");
    assert_eq!(bob.put(&acceptance, None).await.status, 404);
    assert_eq!(bob.get("/v1/me/invitations").await.body["items"], json!([]));

    let mut sent = 1;
    let refused = loop {
        let again = invite(&app, &ada, &id, ("bob@example.org", "organization-member")).await;
        if again.status != 201 {
            break again;
        }
        sent += 1;
    };
    assert_eq!((sent, refused.code()), (10, "rejected"), "{refused:?}");
    app.pass(chrono::TimeDelta::days(1)).await;
    let ada = app.as_user(&app.log_in(&Person::ada()).await.access);
    let again = invite(&app, &ada, &id, ("bob@example.org", "organization-member")).await;
    assert_eq!(again.status, 201, "{again:?}");
}
