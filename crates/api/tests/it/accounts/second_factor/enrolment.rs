//! A second factor begins with a code of the device, and ends with one.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::json;

use super::{Careful, WRONG, with_code};
use crate::support::{Device, Login, Person, TestApp, codes};

const REMOVAL: &str = "/v1/me/second-factor/removal";
const CODES: &str = "/v1/me/second-factor/recovery-codes";

#[tokio::test]
async fn nothing_changes_until_a_code_of_it_comes_back() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.welcome(&ada).await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    let refused = me.post("/v1/me/second-factor", json!({"password": WRONG})).await;
    assert_eq!(refused.code(), "login-failed");
    let nothing = json!({"code": "123456"});
    let nothing = me.post("/v1/me/second-factor/confirmation", nothing).await;
    assert_eq!(nothing.code(), "code-refused", "nothing waits for it");

    let first = Device::told(&me, &ada).await;
    let second = Device::told(&me, &ada).await;
    assert_ne!(first.typed, second.typed);
    assert_eq!(first.confirm(&me, &first.shows(&app)).await.code(), "code-refused", "replaced");
    assert_eq!(second.confirm(&me, &second.never_shows(&app)).await.code(), "code-refused");
    app.log_in(&ada).await;
    assert_eq!(me.get("/v1/me").await.body["has_second_factor"], false);
    app.clock().pass(TimeDelta::minutes(10));
    let me = app.as_user(&app.log_in(&ada).await.access);
    assert_eq!(second.confirm(&me, &second.shows(&app)).await.code(), "code-refused", "expired");

    let third = Device::told(&me, &ada).await;
    assert_eq!(third.confirm(&me, &third.shows(&app)).await.status, 200);
    assert_eq!(third.confirm(&me, &third.shows(&app)).await.code(), "code-refused");
    let again = me.post("/v1/me/second-factor", json!({"password": ada.password})).await;
    assert_eq!((again.status, again.code()), (409, "rejected"), "there is one");
    assert_eq!(app.happened("identity.second-factor-enabled").await.len(), 1);
}

#[tokio::test]
async fn it_takes_both_to_have_none_any_more() {
    let ada = Careful::ada().await;
    let me = ada.me();
    let code = ada.device.shows_next(&ada.app);
    let both = |password: &str, code: &str| json!({"password": password, "code": code});
    assert_eq!(me.post(REMOVAL, both(WRONG, &code)).await.code(), "login-failed");
    let no_code = both(&ada.ada.password, &ada.device.never_shows(&ada.app));
    assert_eq!(me.post(REMOVAL, no_code).await.code(), "code-refused");
    assert_eq!(ada.shown().await["has_second_factor"], true);
    let removed = me.post(REMOVAL, both(&ada.ada.password, &code)).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    assert!(removed.headers.contains_key("annals-position"));
    let disabled = json!({"user_id": ada.login.user, "by": "user"});
    assert_eq!(ada.app.happened("identity.second-factor-disabled").await, [disabled]);
    let shown = ada.shown().await;
    assert_eq!(
        (&shown["has_second_factor"], shown.get("recovery_codes_left")),
        (&json!(false), None)
    );
    ada.app.log_in(&ada.ada).await;
    let none = me.post(REMOVAL, both(&ada.ada.password, &ada.codes[0])).await;
    assert_eq!((none.status, none.code()), (409, "rejected"));

    // Another device is another secret, and what was good for the first is good for nothing.
    let (device, _) = Device::enrolled(&ada.app, &me, &ada.ada).await;
    let code = ada.device.shows_next(&ada.app);
    for code in [&code, &ada.codes[1]] {
        assert_eq!(ada.log_in(code).await.code(), "code-refused");
    }
    Login::of(&ada.log_in(&device.shows(&ada.app)).await);
}

#[tokio::test]
async fn the_same_removal_again_has_the_same_receipt() {
    let ada = Careful::ada().await;
    let me = ada.me();
    let body = json!({"password": ada.ada.password, "code": ada.codes[3]});
    let remove = async || {
        let mut request = me.request(Method::POST, REMOVAL, Some(body.clone()));
        request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
        ada.app.send(request).await
    };
    let (first, again) = (remove().await, remove().await);
    assert_eq!((first.status, again.status), (204, 204), "{first:?} {again:?}");
    assert_eq!(first.headers["annals-position"], again.headers["annals-position"]);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(ada.app.happened("identity.recovery-code-used").await.len(), 1);
    assert_eq!(ada.app.happened("identity.second-factor-disabled").await.len(), 1);
}

#[tokio::test]
async fn other_codes_replace_those_of_before() {
    let ada = Careful::ada().await;
    let me = ada.me();
    Login::of(&ada.log_in(&ada.codes[0]).await);
    let replace = async |code: &str| {
        me.post(CODES, json!({"password": ada.ada.password, "code": code})).await
    };
    assert_eq!(replace(&ada.codes[0]).await.code(), "code-refused");
    let replaced = replace(&ada.codes[1]).await;
    let others = codes(&replaced);
    assert_eq!(ada.shown().await["recovery_codes_left"], 10);
    assert_eq!(ada.log_in(&ada.codes[2]).await.code(), "code-refused");
    Login::of(&ada.log_in(&others[0]).await);
    assert_eq!(codes(&replace(&ada.device.shows_next(&ada.app)).await).len(), 10);
    assert_eq!(ada.log_in(&others[1]).await.code(), "code-refused");
    let counted = json!({"user_id": ada.login.user, "recovery_codes": 10});
    let replaced = ada.app.happened("identity.recovery-codes-replaced").await;
    assert_eq!(replaced, [counted.clone(), counted]);
    Login::of(
        &ada.app
            .nobody()
            .post("/v1/sessions", with_code(&ada.ada, &ada.device.shows_next(&ada.app)))
            .await,
    );
}
