//! Who may do what, as `annals access explain` says it.

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::Site;

const EMAIL: &str = "operator@example.org";

/// What `explain` says of the operator, where strangers may do nothing.
fn explained(site: &Site, arguments: &[&str]) -> (i32, String) {
    let arguments = [&["access", "explain", EMAIL], arguments].concat();
    let mut command = site.command(&arguments);
    command.env("ANNALS_HTTP__ANONYMOUS", "account.enter");
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Posts a command; answers with the id of what it made.
async fn made(url: String, token: &str, (organization, body): (Option<&str>, Value)) -> String {
    let mut request = Client::new().request(Method::POST, url);
    if let Some(organization) = organization {
        request = request.header("Annals-Organization", organization);
    }
    let request = request.header(AUTHORIZATION, token).header("Idempotency-Key", body.to_string());
    let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decides_is_said_of_a_permission_and_of_one_thing() {
    let site = Site::new().await;
    let mut process = site.serve("explained", &["api", "projector"]);
    process.ready().await;
    let password = site.run(&["users", "create-operator", "--email", EMAIL]).ok();
    let password = password.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    let login = json!({"email": EMAIL, "password": password.split("   ").next().unwrap()});
    let login = Client::new().post(process.url("/v1/sessions")).json(&login);
    let login: Value = login.send().await.unwrap().json().await.unwrap();
    let token = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let user = login["user_id"].as_str().unwrap();

    let teapots = json!({"name": "Teapots"});
    let organization = made(process.url("/v1/organizations"), &token, (None, teapots)).await;
    let price = json!({"amount": 250, "currency": "EUR"});
    let mug = json!({"sku": "MUG-1", "name": "Mug", "price": price, "stock": 3});
    let mug = made(process.url("/v1/products"), &token, (None, mug)).await;
    let order = json!({"lines": [{"product_id": mug, "quantity": 1}]});
    let orders = process.url("/v1/orders");
    let order = made(orders, &token, (Some(&organization), order)).await;

    let (code, all) = explained(&site, &["orders.read"]);
    assert_eq!(code, 0, "{all}");
    assert!(all.contains("role operator: grants `*`, of everything"), "{all}");
    assert!(all.ends_with("yes: `orders.read`, of everything\n"), "{all}");
    let (_, of_order) = explained(&site, &["orders.read", &format!("order:{order}")]);
    let placed = format!("order {order}: placed by {user}, for {organization}\n");
    assert!(of_order.contains(&placed), "{of_order}");
    assert!(of_order.ends_with("yes: `orders.read` goes as far as everything\n"), "{of_order}");
    let within = format!("organization:{organization}");
    let (_, there) = explained(&site, &["organizations.own", &within]);
    assert!(there.contains("the user belongs to it as organization-owner"), "{there}");
    assert!(there.contains("role organization-owner: grants `organizations.own`"), "{there}");
    let elsewhere = "organization:01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11";
    let (_, there) = explained(&site, &["organizations.own", elsewhere]);
    assert!(there.contains("the user does not belong to it"), "{there}");

    for (resource, refusal) in [
        ("order:01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11", "there is no order"),
        ("order:mug", "is no id"),
        ("mug", "neither `order:ID` nor `organization:ID`"),
    ] {
        let (code, said) = explained(&site, &["orders.read", resource]);
        assert!(code == 1 && said.contains(refusal), "{resource}: {said}");
    }
}
