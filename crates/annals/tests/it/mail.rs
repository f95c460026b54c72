//! What people are mailed lets them in, whatever becomes of processes and of the mail server.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{ArrivedMail, SmtpSink, SmtpSinkOptions, eventually};
use totp_rs::Totp;

use crate::support::{Process, Site, free_address};

const PASSWORD: &str = "seven grey herons at noon";
const ANOTHER: &str = "eight white swans at dusk";

/// A site whose mail goes to a server that keeps it.
struct Post {
    site: Site,
    sink: SmtpSink,
}

impl Post {
    async fn open() -> Self {
        let site = Site::new().await;
        let sink = tokio::task::block_in_place(|| SmtpSink::start(SmtpSinkOptions::default()));
        Self { site, sink: sink.unwrap() }
    }

    fn serve(&self, name: &str) -> Process {
        Process::spawn(name, self.command(&["serve"]), free_address())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command
            // Nobody may do anything here without a login but come in.
            .env("ANNALS_HTTP__ANONYMOUS", "account.enter,description.read")
            .env("ANNALS_MAIL__TRANSPORT", "smtp")
            .env("ANNALS_MAIL__HOST", "127.0.0.1")
            .env("ANNALS_MAIL__PORT", self.sink.port().to_string())
            .env("ANNALS_MAIL__SECURITY", "none")
            .env("ANNALS_MAIL__FROM", "Shop <no-reply@shop.example>")
            .env("ANNALS_MAIL__BASE_URL", "https://shop.example");
        command
    }

    /// The token that begins with `prefix` of the last mail to `address` that has one.
    async fn token(&self, address: &str, prefix: &str) -> String {
        self.sink.wait_for(address, |mail| find(mail, prefix).is_some()).await;
        let mails = self.sink.mails().into_iter().rev();
        let mut tokens = mails.filter_map(|mail| find(&mail, prefix));
        tokens.next().unwrap()
    }

    async fn told(&self, address: &str, subject: &str) {
        let is_it = |mail: &ArrivedMail| mail.header("subject").any(|told| told.contains(subject));
        self.sink.wait_for(address, is_it).await;
    }
}

fn find(mail: &ArrivedMail, prefix: &str) -> Option<String> {
    let text = mail.text.as_deref()?;
    let is_part = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    Some(text[text.find(prefix)?..].chars().take_while(is_part).collect())
}

async fn post(process: &Process, path: &str, body: &Value) -> (StatusCode, Value) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let answer = http.post(process.url(path)).json(body).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

async fn log_in(process: &Process, password: &str) -> (StatusCode, Value) {
    post(process, "/v1/sessions", &json!({"email": "ada@example.org", "password": password})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_mail_proves_the_address_and_chooses_a_password() {
    let mut post_office = Post::open().await;
    let mut process = post_office.serve("mail");
    process.ready().await;
    let ada = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD});
    // The server is away when the account is opened, and the process is killed meanwhile.
    tokio::task::block_in_place(|| post_office.sink.kill9());
    assert_eq!(post(&process, "/v1/users", &ada).await.0, StatusCode::ACCEPTED);
    process.kill9();
    tokio::task::block_in_place(|| post_office.sink.restart()).unwrap();
    let mut process = post_office.serve("mail-again");
    process.ready().await;

    let (status, answer) = log_in(&process, PASSWORD).await;
    assert_eq!((status.as_u16(), &answer["code"]), (403, &json!("email-not-verified")));
    // A mail may come twice; the token that was kept works.
    eventually(Duration::from_mins(1), "a token that works", async || {
        let token = post_office.token("ada@example.org", "anv_").await;
        let body = json!({ "token": token });
        let (status, answer) = post(&process, "/v1/email-verifications", &body).await;
        if status == StatusCode::NO_CONTENT { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(log_in(&process, PASSWORD).await.0, StatusCode::CREATED);

    let asked = json!({"email": "ADA@example.org"});
    let (status, _) = post(&process, "/v1/password-resets/requests", &asked).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let token = post_office.token("ada@example.org", "anp_").await;
    let reset = json!({"token": token, "password": ANOTHER});
    assert_eq!(post(&process, "/v1/password-resets", &reset).await.0, StatusCode::NO_CONTENT);
    assert_eq!(log_in(&process, PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&process, ANOTHER).await.0, StatusCode::CREATED);
    post_office.told("ada@example.org", "was changed").await;

    // Who has the address is told when somebody else wants it, and nobody else is.
    assert_eq!(post(&process, "/v1/users", &ada).await.0, StatusCode::ACCEPTED);
    post_office.told("ada@example.org", "already have an account").await;

    let log = process.output();
    for secret in ["ada@example.org", PASSWORD, ANOTHER, "anv_", "anp_"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

/// What somebody does who is logged in, with a program that says that it is `agent`.
async fn ask(
    process: &Process,
    (method, path): (Method, &str),
    (token, agent): (&str, &str),
    body: &Value,
) -> (StatusCode, Value) {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let request = http.request(method, process.url(path)).header("user-agent", agent).json(body);
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

const OLD: &str = "Marmoset/7.3 (Linux)";
const UPDATED: &str = "Marmoset/8.0.1 (Linux)";
const NEW: &str = "Tamarin/1.0 (Android)";

/// What happens to an account is told to its owner, at the address where the owner was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_an_account_hears_of_what_happens_to_it() {
    let post_office = Post::open().await;
    let mut process = post_office.serve("mail");
    process.ready().await;
    let (old, new) = ("ada@example.org", "ada@zephyr.example");
    let ada = json!({"email": old, "name": "Ada", "password": PASSWORD});
    assert_eq!(post(&process, "/v1/users", &ada).await.0, StatusCode::ACCEPTED);
    let token = post_office.token(old, "anv_").await;
    let proof = json!({"token": token});
    assert_eq!(post(&process, "/v1/email-verifications", &proof).await.0, StatusCode::NO_CONTENT);

    // The first device is none that is new, nor is its update; another one is, and only once.
    let mut access = String::new();
    let log_in = json!({"email": old, "password": PASSWORD});
    for agent in [OLD, UPDATED, NEW, NEW, OLD] {
        let sessions = (Method::POST, "/v1/sessions");
        let (status, answer) = ask(&process, sessions, ("", agent), &log_in).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        access = answer["access_token"].as_str().unwrap().to_owned();
    }
    post_office.told(old, "New sign-in").await;
    let me = (access.as_str(), OLD);
    let wish = json!({"email": new, "password": PASSWORD});
    let (status, _) = ask(&process, (Method::PUT, "/v1/me/email"), me, &wish).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let proof = json!({"token": post_office.token(new, "anv_").await});
    assert_eq!(post(&process, "/v1/email-verifications", &proof).await.0, StatusCode::NO_CONTENT);
    post_office.told(old, "Your address at").await;

    let begin = (Method::POST, "/v1/me/second-factor");
    let (status, enrolment) = ask(&process, begin, me, &json!({"password": PASSWORD})).await;
    assert_eq!(status, StatusCode::OK, "{enrolment}");
    let url = enrolment["url"].as_str().unwrap();
    let code = totp(url);
    let confirm = (Method::POST, "/v1/me/second-factor/confirmation");
    let (status, confirmed) = ask(&process, confirm, me, &json!({"code": code})).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    post_office.told(new, "is on").await;
    let both = json!({"password": PASSWORD, "code": confirmed["recovery_codes"][0]});
    let remove = (Method::POST, "/v1/me/second-factor/removal");
    let (status, answer) = ask(&process, remove, me, &both).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    post_office.told(new, "is off").await;

    let mails = post_office.sink.mails();
    let is_of = |mail: &&ArrivedMail| mail.header("subject").any(|it| it.contains("New sign-in"));
    let sign_ins: Vec<_> = mails.iter().filter(is_of).collect();
    let ids: BTreeSet<_> = sign_ins.iter().flat_map(|mail| mail.header("message-id")).collect();
    assert_eq!(ids.len(), 1, "of one session");
    let text = sign_ins[0].text.as_deref().unwrap();
    assert!(text.contains(NEW) && text.contains("127.0.0.1"), "{text}");
    let changed =
        |mail: &&ArrivedMail| mail.header("subject").any(|it| it.contains("Your address"));
    let changed: Vec<_> = mails.iter().filter(changed).collect();
    assert!(changed.iter().all(|mail| !mail.text.as_deref().unwrap().contains(new)));

    let log = process.output();
    let told = [enrolment["secret"].as_str().unwrap(), url, code.as_str()];
    let codes = confirmed["recovery_codes"].as_array().unwrap().iter();
    for secret in told.into_iter().chain(codes.map(|code| code.as_str().unwrap())).chain([old, new])
    {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// What an app shows that has read `url`.
fn totp(url: &str) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Totp::from_url(url).unwrap().generate(now.as_secs()).to_string()
}
