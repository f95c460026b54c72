//! The same code twice at the same moment, at two processes: it is good for once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Careful, with_code};
use crate::support::{As, Device, Person, TestApp};

/// How often each answer came to `body`, sent to all at once; who is too busy is asked again.
async fn answers(path: &'static str, who: &[As], body: Value) -> Counts {
    let tries = (0..8).map(|number| {
        let (who, body) = (who[number % who.len()].clone(), body.clone());
        tokio::spawn(async move {
            loop {
                let answer = who.post(path, body.clone()).await;
                if answer.status != 503 {
                    return answer;
                }
            }
        })
    });
    let mut counts = Counts::new();
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        let what = if answer.status < 300 { "done" } else { answer.code() };
        *counts.entry(what.to_owned()).or_default() += 1;
    }
    counts
}

type Counts = BTreeMap<String, usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_with_one_code_one_gets_in() {
    let ada = Careful::ada().await;
    let beside = ada.app.another().await;
    let who = [As::nobody(ada.app.router()), As::nobody(&beside.router)];
    for round in 0..3 {
        let recovery = ada.codes[round].clone();
        for code in [ada.device.shows_next(&ada.app), recovery] {
            let counts = answers("/v1/sessions", &who, with_code(&ada.ada, &code)).await;
            // Once too many were tried the others have to wait.
            assert_eq!(counts.get("done"), Some(&1), "{counts:?}");
            let refused: usize =
                ["code-refused", "login-failed"].iter().filter_map(|code| counts.get(*code)).sum();
            assert_eq!(refused, 7, "{counts:?}");
            // Those that came too late count as failures.
            ada.app.identity().unlock(ada.app.user(&ada.ada.email).await).await.unwrap();
        }
    }
    assert_eq!(ada.app.happened("identity.session-started").await.len(), 7);
    assert_eq!(ada.app.happened("identity.recovery-code-used").await.len(), 3);
    assert_eq!(ada.shown().await["recovery_codes_left"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_confirmations_one_is_told_the_codes() {
    let app = TestApp::with_doors().await;
    let ada = Person::ada();
    app.welcome(&ada).await;
    let beside = app.another().await;
    let access = app.log_in(&ada).await.access;
    let who = [app.as_user(&access), As::user(&beside.router, &access)];
    let device = Device::told(&who[0], &ada).await;
    let body = json!({"code": device.shows(&app)});
    let path = "/v1/me/second-factor/confirmation";
    let counts = answers(path, &who, body).await;
    assert_eq!(counts.get("done"), Some(&1), "{counts:?}");
    assert_eq!(app.happened("identity.second-factor-enabled").await.len(), 1);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.recovery_codes")
        .fetch_one(&app.pool())
        .await
        .unwrap();
    assert_eq!(kept, 10);
}
