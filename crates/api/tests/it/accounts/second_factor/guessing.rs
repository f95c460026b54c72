//! Who guesses learns nothing without the password, and little with it.

use application::identity::Purpose;
use serde_json::json;

use super::{Careful, with_code, wrong};
use crate::support::{Answer, As, Login, Person};

/// How many codes in a row are looked at before the next is waited for.
const MOST: usize = 5;

async fn set(ada: &Careful, assignments: &'static str) {
    let text =
        format!("UPDATE identity.failures SET {assignments} WHERE locked_until > '-infinity'");
    sqlx::query(sqlx::AssertSqlSafe(text)).execute(&ada.app.pool()).await.unwrap();
}

async fn lock(ada: &Careful) {
    set(ada, "locked_until = clock_timestamp() + interval '1 hour'").await;
}

async fn guesses(ada: &Careful, times: usize) {
    let code = ada.device.never_shows(&ada.app);
    for _ in 0..times {
        assert_eq!(ada.log_in(&code).await.code(), "code-refused");
    }
}

#[tokio::test]
async fn without_the_password_nobody_learns_of_it() {
    let ada = Careful::ada().await;
    let bob = Person::bob();
    ada.app.welcome(&bob).await;
    let nobody = Person::new("nobody@example.org", super::WRONG);
    let (right, never) = (ada.device.shows_next(&ada.app), ada.device.never_shows(&ada.app));
    let unknown: Answer = ada.app.try_log_in(&nobody).await;
    assert_eq!((unknown.status, unknown.code()), (401, "login-failed"));
    for person in [&wrong(&ada.ada), &wrong(&bob), &nobody] {
        assert_eq!(ada.app.try_log_in(person).await, unknown, "{person:?}");
        for code in [&right, &never, &ada.codes[0]] {
            let answer = ada.app.nobody().post("/v1/sessions", with_code(person, code)).await;
            assert_eq!(answer, unknown, "{person:?}");
        }
    }
    // Nothing of it was used up.
    Login::of(&ada.log_in(&right).await);
    Login::of(&ada.log_in(&ada.codes[0]).await);

    // Of who is kept out nobody learns anything, also with the password.
    let operator = ada.app.operator().await;
    let suspension = format!("/v1/users/{}/suspension", ada.login.user);
    assert_eq!(operator.put(&suspension, None).await.status, 204);
    assert_eq!(ada.app.try_log_in(&ada.ada).await, unknown);
    for code in [&ada.device.shows_next(&ada.app), &never, &ada.codes[1]] {
        assert_eq!(ada.log_in(code).await, unknown);
    }
}

/// A wrong password is answered before anything is asked of the second factor: as many statements run.
#[tokio::test]
async fn a_wrong_password_costs_the_same() {
    let ada = Careful::ada().await;
    ada.app.welcome(&Person::bob()).await;
    // Whoever asks for what is kept of second factors fails.
    for table in ["second_factors", "recovery_codes"] {
        let text = format!("ALTER TABLE identity.{table} RENAME TO away_{table}");
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&ada.app.pool()).await.unwrap();
    }
    for person in [&wrong(&ada.ada), &wrong(&Person::bob())] {
        let answer = ada.app.nobody().post("/v1/sessions", with_code(person, "123456")).await;
        assert_eq!((answer.status, answer.code()), (401, "login-failed"));
    }
    assert_eq!(ada.app.try_log_in(&ada.ada).await.code(), "second-factor-required");
}

#[tokio::test]
async fn wrong_codes_make_wait_like_wrong_passwords() {
    let ada = Careful::ada().await;
    guesses(&ada, MOST - 1).await;
    Login::of(&ada.log_in(&ada.device.shows_next(&ada.app)).await);
    guesses(&ada, MOST).await;
    lock(&ada).await;
    let refused = ada.log_in(&ada.device.shows_next(&ada.app)).await;
    assert_eq!((refused.status, refused.code()), (401, "login-failed"));
    assert_eq!(ada.app.try_log_in(&ada.ada).await, refused, "the password waits as well");
    // From within nobody finds out the code either.
    let both = json!({"password": ada.ada.password, "code": ada.codes[0]});
    let removal = ada.me().post("/v1/me/second-factor/removal", both).await;
    assert_eq!(removal.code(), "login-failed");
    ada.app.welcome(&Person::bob()).await;
    ada.app.log_in(&Person::bob()).await;

    let operator = ada.app.operator().await;
    let unlocked = operator.delete(&format!("/v1/users/{}/lock", ada.login.user)).await;
    assert_eq!(unlocked.status, 202);
    Login::of(&ada.log_in(&ada.device.shows_next(&ada.app)).await);
}

/// Whoever reads the mail of somebody could else guess as long as another password is mailed.
#[tokio::test]
async fn another_password_does_not_let_guess_on() {
    let ada = Careful::ada().await;
    guesses(&ada, MOST).await;
    lock(&ada).await;
    let user = ada.app.user(&ada.ada.email).await;
    let token = ada.app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": token, "password": "the tide is out tonight"});
    assert_eq!(ada.app.nobody().post("/v1/password-resets", body).await.status, 204);
    let after = Person { password: "the tide is out tonight".to_owned(), ..ada.ada.clone() };
    assert_eq!(ada.app.try_log_in(&after).await.code(), "second-factor-required");
    let both = with_code(&after, &ada.device.shows_next(&ada.app));
    assert_eq!(ada.app.nobody().post("/v1/sessions", both.clone()).await.code(), "login-failed");
    set(&ada, "locked_until = last_at").await;
    Login::of(&ada.app.nobody().post("/v1/sessions", both).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_guesses_at_once_are_no_more_than_one_after_the_other() {
    let ada = Careful::ada().await;
    let body = with_code(&ada.ada, &ada.device.never_shows(&ada.app));
    let tries = (0..24).map(|_| {
        let (nobody, body): (As, _) = (ada.app.nobody(), body.clone());
        tokio::spawn(async move {
            loop {
                let answer = nobody.post("/v1/sessions", body.clone()).await;
                if answer.code() != "busy" {
                    return answer.code().to_owned();
                }
            }
        })
    });
    let mut looked_at = 0;
    for answer in tries.collect::<Vec<_>>() {
        match answer.await.unwrap().as_str() {
            "code-refused" => looked_at += 1,
            code => assert_eq!(code, "login-failed"),
        }
    }
    // A wait of a second or two may be over before all have come.
    assert!((MOST..=MOST + 3).contains(&looked_at), "{looked_at}");
}
