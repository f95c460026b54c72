//! Every process is killed and started again: no session is lost, and none comes back.

use serde_json::{Value, json};

use crate::support::Site;

const EMAIL: &str = "operator@example.org";

/// What a login answers.
#[derive(Debug, Clone)]
struct Tokens {
    session: String,
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(answer: &Value) -> Self {
        let text =
            |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        Self {
            session: text("session_id"),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

/// Posts `body`; answers with the status and what is said.
async fn post(base: &str, path: &str, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{base}{path}"));
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn log_in(base: &str, password: &str) -> Tokens {
    let body = json!({"email": EMAIL, "password": password});
    let (status, answer) = post(base, "/v1/sessions", body).await;
    assert_eq!(status, 201, "{answer}");
    Tokens::of(&answer)
}

async fn refresh(base: &str, tokens: &Tokens) -> (u16, Value) {
    post(base, "/v1/sessions/refresh", json!({"refresh_token": tokens.refresh})).await
}

/// Whose sessions are told to who has the access token of `tokens`; nothing if it is refused.
async fn sessions(base: &str, tokens: &Tokens) -> Option<Vec<String>> {
    let request = reqwest::Client::new().get(format!("{base}/v1/me/sessions"));
    let answer = request.bearer_auth(&tokens.access).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert!(matches!(status, 200 | 401), "{body}");
    let items = body["items"].as_array()?.iter();
    Some(items.map(|item| item["id"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_is_lost_and_none_comes_back() {
    let site = Site::new().await;
    let roles =
        [("restart-api", &["api"][..]), ("restart-rest", &["relay", "projector", "worker"])];
    let mut before = roles.map(|(name, roles)| site.serve(name, roles));
    for process in &mut before {
        process.ready().await;
    }
    let base = before[0].url("");
    let made = site.run(&["users", "create-operator", "--email", EMAIL]).ok();
    let password = made.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    let password = password.split("   ").next().unwrap();
    let [kept, ended, renewed] = [
        log_in(&base, password).await,
        log_in(&base, password).await,
        log_in(&base, password).await,
    ];
    let (status, answer) = refresh(&base, &renewed).await;
    assert_eq!(status, 200, "{answer}");
    let renewed_again = Tokens::of(&answer);
    let end = format!("{base}/v1/me/sessions/{}", ended.session);
    let answer = reqwest::Client::new().delete(end).bearer_auth(&kept.access).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);

    for process in before {
        process.kill9();
    }
    let mut after = roles.map(|(name, roles)| site.serve(name, roles));
    for process in &mut after {
        process.ready().await;
    }
    let base = after[0].url("");
    let mut on = sessions(&base, &kept).await.expect("the access token of before still counts");
    on.sort_unstable();
    let mut expected = [kept.session.clone(), renewed.session.clone()];
    expected.sort_unstable();
    assert_eq!(on, expected);
    assert!(sessions(&base, &renewed_again).await.is_some());
    assert_eq!(sessions(&base, &ended).await, None, "what was ended stays ended");
    assert_eq!(refresh(&base, &ended).await.0, 422);
    for tokens in [&kept, &renewed_again] {
        let (status, answer) = refresh(&base, tokens).await;
        assert_eq!(status, 200, "{answer}");
    }
}
