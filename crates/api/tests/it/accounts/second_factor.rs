//! Who has a second factor comes in with both, and with each code once.

mod at_once;
mod enrolment;
mod guessing;
mod lost;

use serde_json::{Value, json};

use crate::support::{Answer, As, Device, Login, Person, TestApp};

const WRONG: &str = "something else entirely";

/// Somebody with a second factor.
struct Careful {
    app: TestApp,
    ada: Person,
    login: Login,
    device: Device,
    codes: Vec<String>,
}

impl Careful {
    async fn ada() -> Self {
        let app = TestApp::with_doors().await;
        let ada = Person::ada();
        app.welcome(&ada).await;
        let login = app.log_in(&ada).await;
        let me = app.as_user(&login.access);
        let (device, codes) = Device::enrolled(&app, &me, &ada).await;
        Self { app, ada, login, device, codes }
    }

    fn me(&self) -> As {
        self.app.as_user(&self.login.access)
    }

    async fn log_in(&self, code: &str) -> Answer {
        self.app.nobody().post("/v1/sessions", with_code(&self.ada, code)).await
    }

    async fn shown(&self) -> Value {
        self.me().get("/v1/me").await.body
    }
}

fn with_code(person: &Person, code: &str) -> Value {
    json!({"email": person.email, "password": person.password, "code": code})
}

fn wrong(person: &Person) -> Person {
    Person { password: WRONG.to_owned(), ..person.clone() }
}

#[tokio::test]
async fn it_takes_both_to_come_in() {
    let ada = Careful::ada().await;
    assert_eq!(ada.shown().await["has_second_factor"], true, "the session goes on");
    let alone = ada.app.try_log_in(&ada.ada).await;
    assert_eq!((alone.status, alone.code()), (401, "second-factor-required"));
    assert_eq!(alone.headers["www-authenticate"], "Bearer");
    let refused = ada.log_in(&ada.device.never_shows(&ada.app)).await;
    assert_eq!((refused.status, refused.code()), (401, "code-refused"));
    // What confirmed it is used up.
    assert_eq!(ada.log_in(&ada.device.shows(&ada.app)).await.code(), "code-refused");
    let code = ada.device.shows_next(&ada.app);
    Login::of(&ada.log_in(&format!("{} {}", &code[..3], &code[3..])).await);
    assert_eq!(ada.log_in(&code).await.code(), "code-refused", "it was used");
    // Nor is one of before taken any more.
    ada.app.clock().pass(chrono::TimeDelta::seconds(30));
    assert_eq!(ada.log_in(&code).await.code(), "code-refused");
    Login::of(&ada.log_in(&ada.device.shows(&ada.app)).await);
    let user = json!({"user_id": ada.login.user, "recovery_codes": 10});
    assert_eq!(ada.app.happened("identity.second-factor-enabled").await, [user]);
    assert_eq!(ada.app.happened("identity.session-started").await.len(), 3);
}

#[tokio::test]
async fn a_code_for_when_the_device_is_lost_is_good_for_once() {
    let ada = Careful::ada().await;
    assert_eq!(ada.codes.len(), 10);
    assert_eq!(ada.shown().await["recovery_codes_left"], 10);
    Login::of(&ada.log_in(&ada.codes[0].to_lowercase().replace('-', " ")).await);
    assert_eq!(ada.log_in(&ada.codes[0]).await.code(), "code-refused");
    assert_eq!(ada.shown().await["recovery_codes_left"], 9);
    let used = ada.app.happened("identity.recovery-code-used").await;
    assert_eq!(used, [json!({"user_id": ada.login.user})]);
    for code in &ada.codes[1..] {
        Login::of(&ada.log_in(code).await);
    }
    assert_eq!(ada.shown().await["recovery_codes_left"], 0);
    Login::of(&ada.log_in(&ada.device.shows_next(&ada.app)).await);
}

#[tokio::test]
async fn another_password_does_not_do_instead() {
    let ada = Careful::ada().await;
    let user = ada.app.user(&ada.ada.email).await;
    let purpose = application::identity::Purpose::ResetPassword;
    let token = ada.app.mailed(user, purpose).await.unwrap();
    let body = json!({"token": token, "password": "the tide is out tonight"});
    assert_eq!(ada.app.nobody().post("/v1/password-resets", body).await.status, 204);
    let after = Person { password: "the tide is out tonight".to_owned(), ..ada.ada.clone() };
    assert_eq!(ada.app.try_log_in(&after).await.code(), "second-factor-required");
    let both = with_code(&after, &ada.device.shows_next(&ada.app));
    Login::of(&ada.app.nobody().post("/v1/sessions", both).await);
}

#[tokio::test]
async fn who_has_none_may_send_a_code() {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    for code in [json!("123456"), Value::Null] {
        let body =
            json!({"email": "ada@example.org", "password": Person::ada().password, "code": code});
        Login::of(&app.nobody().post("/v1/sessions", body).await);
    }
    let bad = json!({"email": "ada@example.org", "password": "x", "code": 123_456});
    let bad = app.nobody().post("/v1/sessions", bad).await;
    assert_eq!((bad.code(), &bad.body["errors"][0]["pointer"]), ("invalid-body", &json!("/code")));
}
