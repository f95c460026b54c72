//! Somebody's way through the service, from the first page to the last.

use application::identity::Purpose;
use chrono::TimeDelta;
use serde_json::json;
use testkit::eventually;

use crate::support::{As, LIFETIMES, LIMIT, Login, Person, TestApp};

/// Waits until the access token of `person` is refused.
pub(super) async fn is_shut_out(person: &As) {
    eventually(LIMIT, "the token to be stale", async || {
        let answer = person.get("/v1/me").await;
        if answer.status == 401 && answer.code() == "invalid-token" { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn an_account_is_opened_and_proved() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let answer = app.register(&ada).await;
    assert_eq!((answer.status, &answer.body), (202, &json!("")));

    let wrong = Person { password: "something else entirely".to_owned(), ..ada.clone() };
    assert_eq!(app.try_log_in(&wrong).await.code(), "login-failed");
    let early = app.try_log_in(&ada).await;
    assert_eq!((early.status, early.code()), (403, "email-not-verified"));

    let user = app.user(&ada.email).await;
    let (address, token) = app.letter(user, Purpose::VerifyEmail).await.unwrap();
    assert_eq!(address, ada.email);
    let proof = json!({"token": token});
    assert_eq!(app.nobody().post("/v1/email-verifications", proof.clone()).await.status, 204);
    let again = app.nobody().post("/v1/email-verifications", proof).await;
    assert_eq!(again.code(), "token-refused", "a token is used once");
    assert!(app.mailed(user, Purpose::VerifyEmail).await.is_none(), "there is nothing to prove");

    let answer = app.try_log_in(&ada).await;
    assert_eq!(answer.status, 201);
    let login = Login::of(&answer);
    let me = app.as_user(&login.access).get("/v1/me").await;
    let expected = json!({
        "id": login.user, "email": "ada@example.org", "is_verified": true, "name": "Ada",
        "standing": "active", "roles": [], "has_second_factor": false,
    });
    assert_eq!((me.status, me.body), (200, expected));
    let may = app.as_user(&login.access).get("/v1/me/permissions").await;
    assert_eq!(
        may.body["permissions"],
        json!([
            {"permission": "account.enter", "reach": "all"},
            {"permission": "account.self", "reach": "own"},
            {"permission": "description.read", "reach": "all"},
        ])
    );
}

#[tokio::test]
async fn sessions_are_shown_and_ended() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.welcome(&ada).await;
    let first = app.log_in(&ada).await;
    app.pass(TimeDelta::minutes(2)).await;
    let second = app.log_in(&ada).await;
    app.pass(TimeDelta::minutes(2)).await;
    let refreshed = Login::of(&app.refresh(&first.refresh).await);

    let sessions = app.as_user(&refreshed.access).get("/v1/me/sessions").await;
    let shown = |id: &str, is_current: bool, [started_at, used_at, expires_at]: [&str; 3]| {
        json!({
            "id": id, "is_current": is_current, "address": "192.0.2.7", "agent": "Marmoset/7.3",
            "started_at": started_at, "used_at": used_at, "expires_at": expires_at,
        })
    };
    let started = "2026-01-02T03:04:05.678Z";
    let later = "2026-01-02T03:06:05.678Z";
    let now = "2026-01-02T03:08:05.678Z";
    let expected = json!([
        shown(&first.session, true, [started, now, "2026-01-16T03:08:05.678Z"]),
        shown(&second.session, false, [later, later, "2026-01-16T03:06:05.678Z"]),
    ]);
    assert_eq!(sessions.body["items"], expected);

    // Somebody else's session is none.
    let bob = Person::bob();
    app.welcome(&bob).await;
    let other = app.log_in(&bob).await;
    let of_ada = format!("/v1/me/sessions/{}", first.session);
    assert_eq!(app.as_user(&other.access).delete(&of_ada).await.code(), "not-found");

    let me = app.as_user(&refreshed.access);
    assert_eq!(me.delete(&format!("/v1/me/sessions/{}", second.session)).await.status, 204);
    assert_eq!(app.refresh(&second.refresh).await.code(), "token-refused");
    is_shut_out(&app.as_user(&second.access)).await;
    assert_eq!(me.get("/v1/me/sessions").await.body["items"].as_array().unwrap().len(), 1);

    // Everywhere else: this one goes on, with another token.
    let third = app.log_in(&ada).await;
    assert_eq!(me.delete("/v1/me/sessions").await.status, 204);
    is_shut_out(&app.as_user(&third.access)).await;
    assert_eq!(app.refresh(&third.refresh).await.code(), "token-refused");
    let refreshed = Login::of(&app.refresh(&refreshed.refresh).await);
    let me = app.as_user(&refreshed.access);
    assert_eq!(me.get("/v1/me").await.status, 200);

    assert_eq!(me.delete("/v1/me/sessions/current").await.status, 204);
    is_shut_out(&me).await;
    assert_eq!(app.refresh(&refreshed.refresh).await.code(), "token-refused");
    let reasons = app.happened("identity.session-ended").await;
    let reasons: Vec<_> = reasons.iter().map(|ended| &ended["reason"]).collect();
    assert_eq!(reasons, ["ended-by-user", "logged-out"]);
}

#[tokio::test]
async fn a_profile_is_changed() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.welcome(&ada).await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    assert_eq!(me.put("/v1/me/profile", json!({"name": "Countess"})).await.status, 204);
    assert_eq!(me.get("/v1/me").await.body["name"], "Countess");
    let wrong = me.put("/v1/me/profile", json!({"name": ""})).await;
    assert_eq!(
        (wrong.code(), &wrong.body["errors"][0]["pointer"]),
        ("invalid-body", &json!("/name"))
    );
}

#[tokio::test]
async fn an_address_is_another_once_it_is_proved() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    let wish = |email: &str, password: &str| json!({"email": email, "password": password});

    let wrong = me.put("/v1/me/email", wish("ada@new.example", "something else entirely")).await;
    assert_eq!((wrong.status, wrong.code()), (401, "login-failed"));
    let asked = me.put("/v1/me/email", wish("ada@new.example", &ada.password)).await;
    assert_eq!(asked.status, 202);
    let shown = me.get("/v1/me").await.body;
    assert_eq!(
        (&shown["email"], &shown["wanted_email"]),
        (&json!(ada.email), &json!("ada@new.example"))
    );
    let moved = Person { email: "ada@new.example".to_owned(), ..ada.clone() };
    assert_eq!(app.try_log_in(&moved).await.code(), "login-failed", "it is not proved");
    app.log_in(&ada).await;

    // What is mailed to the old address is void once it is another.
    let reset = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let (to, token) = app.letter(user, Purpose::VerifyEmail).await.unwrap();
    assert_eq!(to, "ada@new.example");
    let proof = json!({"token": token});
    assert_eq!(app.nobody().post("/v1/email-verifications", proof).await.status, 204);
    let shown = me.get("/v1/me").await.body;
    assert_eq!((&shown["email"], shown.get("wanted_email")), (&json!("ada@new.example"), None));
    app.log_in(&moved).await;
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    let reset = json!({"token": reset, "password": "whoever reads the old mail"});
    assert_eq!(app.nobody().post("/v1/password-resets", reset).await.code(), "token-refused");

    let other = Person { password: "somebody who likes the name".to_owned(), ..ada };
    assert_ne!(app.welcome(&other).await, user, "the old address is free");
    app.log_in(&other).await;
}

#[tokio::test]
async fn an_address_that_somebody_proves_first_is_taken() {
    let app = TestApp::with_doors().await;
    let (ada, bob) = (Person::ada(), Person::bob());
    let user = app.welcome(&ada).await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    let wish = json!({"email": bob.email, "password": ada.password});
    assert_eq!(me.put("/v1/me/email", wish).await.status, 202);
    let token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    app.welcome(&bob).await;
    let proof = json!({"token": token});
    let answer = app.nobody().post("/v1/email-verifications", proof).await;
    assert_eq!((answer.status, answer.code()), (409, "email-taken"));
    app.log_in(&ada).await;
    app.log_in(&bob).await;
}

/// The claim is the same, whatever the case.
#[tokio::test]
async fn an_address_may_change_its_case_and_a_wish_be_taken_back() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    let me = app.as_user(&app.log_in(&ada).await.access);
    let wish = |email: &str| json!({"email": email, "password": ada.password});
    assert_eq!(me.put("/v1/me/email", wish("Ada@Example.org")).await.status, 202);
    let token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    let proof = app.nobody().post("/v1/email-verifications", json!({"token": token})).await;
    assert_eq!(proof.status, 204, "{proof:?}");
    assert_eq!(me.get("/v1/me").await.body["email"], "Ada@Example.org");
    assert_eq!(app.user(&ada.email).await, user);

    assert_eq!(me.put("/v1/me/email", wish("ada@new.example")).await.status, 202);
    let token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    assert_eq!(me.put("/v1/me/email", wish("Ada@Example.org")).await.status, 202);
    let proof = app.nobody().post("/v1/email-verifications", json!({"token": token})).await;
    assert_eq!(proof.code(), "token-refused", "it is not wanted any more");
    let token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    let proof = app.nobody().post("/v1/email-verifications", json!({"token": token})).await;
    assert_eq!(proof.status, 204, "{proof:?}");
    assert_eq!(me.get("/v1/me").await.body.get("wanted_email"), None);
    assert_eq!(app.user(&ada.email).await, user, "nobody else can have it");
}

#[tokio::test]
async fn a_password_is_changed_and_the_session_goes_on() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.welcome(&ada).await;
    let (here, there) = (app.log_in(&ada).await, app.log_in(&ada).await);
    let me = app.as_user(&here.access);
    let change = |current: &str, password: &str| json!({"current": current, "password": password});
    let wrong = change("something else entirely", "the tide is out tonight");
    assert_eq!(me.put("/v1/me/password", wrong).await.code(), "login-failed");
    let weak = me.put("/v1/me/password", change(&ada.password, "password1234")).await;
    assert_eq!((weak.status, weak.code()), (422, "weak-password"));
    let changed = me.put("/v1/me/password", change(&ada.password, "the tide is out tonight")).await;
    assert_eq!(changed.status, 204, "{changed:?}");

    is_shut_out(&app.as_user(&there.access)).await;
    assert_eq!(app.refresh(&there.refresh).await.code(), "token-refused");
    is_shut_out(&me).await;
    let refreshed = Login::of(&app.refresh(&here.refresh).await);
    assert_eq!(app.as_user(&refreshed.access).get("/v1/me").await.status, 200);
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    app.log_in(&Person { password: "the tide is out tonight".to_owned(), ..ada }).await;
}

#[tokio::test]
async fn a_forgotten_password_is_replaced() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    let login = app.log_in(&ada).await;
    let forgotten = json!({"email": ada.email});
    let asked = app.nobody().post("/v1/password-resets/requests", forgotten).await;
    assert_eq!(asked.status, 202);
    eventually(LIMIT, "the request to be recorded", async || {
        match app.happened("identity.password-reset-requested").await.len() {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    let (to, token) = app.letter(user, Purpose::ResetPassword).await.unwrap();
    assert_eq!(to, ada.email);
    let other = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let reset = |token: &str, password: &str| json!({"token": token, "password": password});
    let resets = "/v1/password-resets";
    let weak = app.nobody().post(resets, reset(&token, "short")).await;
    assert_eq!(weak.code(), "weak-password", "the token can be used again");
    let done = app.nobody().post(resets, reset(&token, "the tide is out tonight")).await;
    assert_eq!(done.status, 204, "{done:?}");
    for used in [&token, &other] {
        let again = app.nobody().post(resets, reset(used, "the tide comes in again")).await;
        assert_eq!((again.status, again.code()), (422, "token-refused"));
    }
    is_shut_out(&app.as_user(&login.access)).await;
    assert_eq!(app.refresh(&login.refresh).await.code(), "token-refused");
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    let ada = Person { password: "the tide is out tonight".to_owned(), ..ada };
    app.log_in(&ada).await;

    let token = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    app.pass(LIFETIMES.password_reset).await;
    let late = app.nobody().post(resets, reset(&token, "the tide comes in again")).await;
    assert_eq!(late.code(), "token-refused");
    let verification = app.mailed(user, Purpose::VerifyEmail).await;
    assert!(verification.is_none(), "the address is proved");
}

/// Who reads the mail has proved the address.
#[tokio::test]
async fn a_reset_proves_the_address_and_no_token_is_of_another_kind() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.register(&ada).await;
    let user = app.user(&ada.email).await;
    let verification = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    let reset = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": verification, "password": ada.password});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.code(), "token-refused");
    let body = json!({"token": reset});
    assert_eq!(app.nobody().post("/v1/email-verifications", body).await.code(), "token-refused");
    let body = json!({"token": reset, "password": ada.password});
    assert_eq!(app.nobody().post("/v1/password-resets", body).await.status, 204);
    app.log_in(&ada).await;
}

#[tokio::test]
async fn an_account_is_closed_for_good() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    let user = app.welcome(&ada).await;
    let login = app.log_in(&ada).await;
    let me = app.as_user(&login.access);
    let wrong = json!({"password": "something else entirely"});
    assert_eq!(me.post("/v1/me/closure", wrong).await.code(), "login-failed");
    let answer = me.post("/v1/me/closure", json!({"password": ada.password})).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    is_shut_out(&me).await;
    assert_eq!(app.refresh(&login.refresh).await.code(), "token-refused");
    assert_eq!(app.try_log_in(&ada).await.code(), "login-failed");
    assert!(app.mailed(user, Purpose::ResetPassword).await.is_none());
    let operator = app.operator().await;
    let reinstated = operator.delete(&format!("/v1/users/{user}/suspension")).await;
    assert_eq!(reinstated.code(), "rejected");
    let shown = operator.get(&format!("/v1/users/{user}")).await;
    assert_eq!(shown.body["standing"], "deactivated");
}
