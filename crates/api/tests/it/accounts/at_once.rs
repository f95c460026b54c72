//! What happens twice at the same time, or twice because an answer was lost.

use std::collections::BTreeSet;

use application::identity::Purpose;
use axum::http::Method;
use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Answer, As, LIMIT, Login, Person, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_registrations_of_one_address_one_makes_a_user() {
    let app = TestApp::with_doors().await;
    let tries = (0..20).map(|number| {
        let nobody = app.nobody();
        let email = if number % 2 == 0 { "ada@example.org" } else { "ADA@example.org" };
        let body = json!({"email": email, "name": "Ada", "password": Person::ada().password});
        // More passwords than can be hashed are refused, whoever has the address.
        tokio::spawn(async move {
            loop {
                let answer = nobody.post("/v1/users", body.clone()).await;
                if answer.status != 503 || answer.code() != "busy" {
                    return answer;
                }
            }
        })
    });
    let mut answers = BTreeSet::new();
    for answer in tries.collect::<Vec<_>>() {
        answers.insert(format!("{:?}", answer.await.unwrap()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().contains("202"), "{answers:?}");
    let registered = app.happened("identity.user-registered").await;
    let repeated = app.happened("identity.registration-repeated").await;
    assert_eq!(registered.len(), 1);
    // Where too many ask at once, the owner hears of it less often.
    assert!((1..=19).contains(&repeated.len()), "{}", repeated.len());
    let passwords: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.passwords")
        .fetch_one(&app.pool())
        .await
        .unwrap();
    assert_eq!(passwords, 1, "of nobody else a secret is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mailed_token_is_used_by_one() {
    let app = TestApp::with_doors().await;
    let user = app.welcome(&Person::ada()).await;
    let token = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let tries = (0..8).map(|number| {
        let (nobody, token) = (app.nobody(), token.clone());
        let password = format!("the tide is out tonight {number}");
        let body = json!({"token": token, "password": password});
        tokio::spawn(async move { (nobody.post("/v1/password-resets", body).await, password) })
    });
    let mut chosen = Vec::new();
    for answer in tries.collect::<Vec<_>>() {
        let (answer, password) = answer.await.unwrap();
        if answer.status == 204 {
            chosen.push(password);
        } else {
            assert_eq!(answer.code(), "token-refused");
        }
    }
    assert_eq!(chosen.len(), 1);
    assert_eq!(app.happened("identity.password-changed").await.len(), 1);
    app.log_in(&Person { password: chosen.remove(0), ..Person::ada() }).await;
}

async fn named(
    app: &TestApp,
    who: &As,
    (key, method, address): (&str, Method, &str),
    body: Value,
) -> Answer {
    let mut request = who.request(method, address, Some(body));
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    app.send(request).await
}

/// What proved that it may be done is used up by then (law 3).
#[tokio::test]
async fn the_same_command_again_has_the_same_receipt() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.register(&ada).await;
    let user = app.user(&ada.email).await;
    let mut token = app.mailed(user, Purpose::VerifyEmail).await.unwrap();
    let (verify, reset) = ("/v1/email-verifications", "/v1/password-resets");
    let is_replayed = |first: &Answer, again: &Answer| {
        assert_eq!((first.status, again.status), (204, 204), "{first:?} {again:?}");
        assert_eq!(first.headers["annals-position"], again.headers["annals-position"]);
        assert!(!first.headers.contains_key("idempotency-replayed"));
        assert_eq!(again.headers["idempotency-replayed"], "true");
    };
    let nobody = app.nobody();
    let (verify, reset) = (("1", Method::POST, verify), ("2", Method::POST, reset));
    let first = named(&app, &nobody, verify.clone(), json!({"token": token})).await;
    let again = named(&app, &nobody, verify.clone(), json!({"token": token})).await;
    is_replayed(&first, &again);

    token = app.mailed(user, Purpose::ResetPassword).await.unwrap();
    let body = json!({"token": token, "password": "a tern above the sound"});
    let other = named(&app, &nobody, ("1", Method::POST, reset.2), body.clone()).await;
    assert_eq!(other.code(), "idempotency-key-reused");
    let first = named(&app, &nobody, reset.clone(), body.clone()).await;
    is_replayed(&first, &named(&app, &nobody, reset, body).await);

    let ada = Person { password: "a tern above the sound".to_owned(), ..ada };
    let login = app.log_in(&ada).await;
    let change = json!({"current": ada.password, "password": "the tide is out tonight"});
    let own = ("3", Method::PUT, "/v1/me/password");
    let me = app.as_user(&login.access);
    let first = named(&app, &me, own.clone(), change.clone()).await;
    let me = app.as_user(&Login::of(&app.refresh(&login.refresh).await).access);
    is_replayed(&first, &named(&app, &me, own, change).await);
    assert_eq!(app.happened("identity.password-changed").await.len(), 2);
}

/// The database hangs up while it commits: what was asked may have been done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_not_said_to_have_changed_nothing() {
    let app = TestApp::with_doors().await;
    app.welcome(&Person::ada()).await;
    for statement in [
        "CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON identity.refresh_tokens
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit()",
    ] {
        sqlx::query(statement).execute(&app.pool()).await.unwrap();
    }
    let mut holder = app.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(4711)").execute(&mut *holder).await.unwrap();
    let ada = Person::ada();
    let log_in = app.try_log_in(&ada);
    let hang_up = async {
        eventually(LIMIT, "the commit to wait", async || {
            let ended: i64 = sqlx::query_scalar(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE wait_event = 'advisory' AND query = 'COMMIT' AND datname = current_database()",
            )
            .fetch_one(&app.pool())
            .await
            .unwrap();
            if ended > 0 { Ok(()) } else { Err("nobody waits") }
        })
        .await;
    };
    let (answer, ()) = tokio::join!(log_in, hang_up);
    assert_eq!((answer.status, answer.code()), (503, "unconfirmed"));
    holder.rollback().await.unwrap();
    app.log_in(&Person::ada()).await;
}
