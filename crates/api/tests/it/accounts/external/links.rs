//! What users do with the identities by which they come in.

use std::collections::BTreeMap;

use eventstore::{CommandId, Metadata, Subject};
use serde_json::{Value, json};
use uuid::Uuid;

use super::proved;
use crate::support::{
    Answer, As, Begun, Browser, Login, PROVIDER, Person, REDIRECT, TestApp, provider,
};

const LINKS: &str = "/v1/me/external-identities";

async fn begin(me: &As, password: Option<&str>) -> Answer {
    let body = json!({"provider": PROVIDER, "redirect_uri": REDIRECT, "password": password});
    me.post("/v1/me/external-identities/requests", body).await
}

/// Logs in there as `name`, in a new browser.
async fn visit(app: &TestApp, begun: &Begun, name: &str) -> Value {
    let back: BTreeMap<_, _> = Browser::new().log_in(&begun.address, name, REDIRECT).await;
    app.keep_time().await;
    begun.completion(&back)
}

/// Who is asked: the token may be over, because the clock was set.
async fn me(app: &TestApp, person: &Person) -> As {
    app.as_user(&app.log_in(person).await.access)
}

#[tokio::test]
async fn one_links_and_unlinks_what_one_comes_in_by() {
    let mut provider = provider();
    // Nobody vouches for an address: whose identity it is was proved by both logins.
    provider.know("ada", testkit::OidcAccount::default());
    let app = TestApp::with_provider(&provider.issuer()).await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    app.welcome(&Person::bob()).await;
    let asks = me(&app, &ada).await;
    for wrong in [None, Some("not the password at all")] {
        assert_eq!(begin(&asks, wrong).await.code(), "login-failed");
    }
    let begun = Begun::of(&begin(&asks, Some(&ada.password)).await);
    let completion = visit(&app, &begun, "ada").await;
    // It is hers to link, and lets nobody in.
    let bob = me(&app, &Person::bob()).await;
    assert_eq!(bob.post(LINKS, completion.clone()).await.code(), "external-login-refused");
    let answer = app.nobody().complete(completion.clone()).await;
    assert_eq!(answer.code(), "external-login-refused");
    let asks = me(&app, &ada).await;
    let linked = asks.post(LINKS, completion.clone()).await;
    assert_eq!(linked.status, 204, "{linked:?}");
    assert_eq!(asks.post(LINKS, completion).await.code(), "external-login-refused", "once");
    assert_eq!(Login::of(&app.come_in("ada").await).user, user.to_string());

    // It is nobody else's.
    let begun = Begun::of(&begin(&bob, Some(&Person::bob().password)).await);
    let completion = visit(&app, &begun, "ada").await;
    let bob = me(&app, &Person::bob()).await;
    let answer = bob.post(LINKS, completion).await;
    assert_eq!((answer.status, answer.code()), (409, "identity-taken"));

    let asks = me(&app, &ada).await;
    let listed = asks.get(LINKS).await;
    let items = listed.body["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["provider"]), (1, &json!(PROVIDER)));
    let address = format!("{LINKS}/{}", items[0]["id"].as_str().unwrap());
    assert_eq!(bob.delete(&address).await.code(), "not-found");
    assert_eq!(asks.delete(&address).await.status, 204);
    assert_eq!(asks.delete(&address).await.code(), "not-found");
    assert_eq!(asks.get(LINKS).await.body, json!({"items": []}));
    // From now on it is nobody's, and the provider vouches for no address.
    assert_eq!(app.come_in("ada").await.code(), "address-not-vouched");
    let begun = Begun::of(&begin(&bob, Some(&Person::bob().password)).await);
    let completion = visit(&app, &begun, "ada").await;
    assert_eq!(me(&app, &Person::bob()).await.post(LINKS, completion).await.status, 204);
}

#[tokio::test]
async fn the_last_way_in_stays_open() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    provider.know("ada.too", testkit::OidcAccount::default());
    let app = TestApp::with_provider(&provider.issuer()).await;
    let first = app.as_user(&Login::of(&app.come_in("ada").await).access);
    let id =
        |listed: &Answer, at: usize| listed.body["items"][at]["id"].as_str().unwrap().to_owned();
    let only = format!("{LINKS}/{}", id(&first.get(LINKS).await, 0));
    let answer = first.delete(&only).await;
    assert_eq!((answer.status, answer.code()), (409, "last-way-in"));
    // She has no password to prove it by.
    let begun = Begun::of(&begin(&first, None).await);
    let completion = visit(&app, &begun, "ada.too").await;
    assert_eq!(first.post(LINKS, completion).await.status, 204);
    assert_eq!(first.delete(&only).await.status, 204);
    let other = format!("{LINKS}/{}", id(&first.get(LINKS).await, 0));
    assert_eq!(first.delete(&other).await.code(), "last-way-in");
    Login::of(&app.come_in("ada.too").await);
}

/// What was linked is personal: with its subject it goes, and so does the claim.
#[tokio::test]
async fn an_identity_is_erased_with_its_user() {
    let mut provider = provider();
    provider.know("ada", proved("ada@example.org"));
    let app = TestApp::with_provider(&provider.issuer()).await;
    let first = Login::of(&app.come_in("ada").await);
    let subject = Subject::new(format!("user:{}", first.user)).unwrap();
    let metadata = Metadata {
        actor: "cli:test".to_owned(),
        tenant: None,
        correlation_id: Uuid::from_u128(1),
        causation_id: None,
        trace: None,
    };
    app.store().erase(&subject, CommandId::new(Uuid::from_u128(7)), metadata).await.unwrap();
    let again = Login::of(&app.come_in("ada").await);
    assert_ne!(again.user, first.user);
}
