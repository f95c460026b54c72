//! What passes between the client, this service and the provider is in no table, message or answer.

use serde_json::json;
use testkit::OidcAccount;

use crate::accounts::secrets::{forms, messages, rows};
use crate::support::{Browser, CLIENT_SECRET, Login, REDIRECT, TestApp, provider};

const SUBJECT: &str = "quillfeather-7731";

#[tokio::test]
async fn nothing_of_a_login_is_kept_or_told() {
    let mut provider = provider();
    let email = "wilhelmina@quillfeather.example";
    let name = "Wilhelmina Quillfeather".to_owned();
    let account =
        OidcAccount { email: Some(email.to_owned()), email_verified: Some(true), name: Some(name) };
    provider.know(SUBJECT, account);
    let app = TestApp::with_provider(&provider.issuer()).await;
    let mut secrets = [CLIENT_SECRET, SUBJECT, email, "quillfeather"].map(str::to_owned).to_vec();
    let mut browser = Browser::new();
    // One is completed, one is refused, one is begun only.
    for turn in 0..3 {
        let begun = app.nobody().begin().await;
        let back = browser.log_in(&begun.address, SUBJECT, REDIRECT).await;
        app.keep_time().await;
        let mut completion = begun.completion(&back);
        secrets.extend([begun.state, begun.binding.clone(), back["code"].clone()]);
        secrets.push(back["code"][8..].to_owned());
        let nonce = begun.address.split("nonce=").nth(1).unwrap().split('&').next().unwrap();
        secrets.push(nonce.to_owned());
        match turn {
            0 => drop(Login::of(&app.nobody().complete(completion).await)),
            1 => {
                completion["code"] = json!("made up");
                let answer = app.nobody().complete(completion).await;
                assert_eq!(answer.code(), "external-login-refused");
                for secret in &secrets {
                    assert!(!answer.body.to_string().contains(secret), "{secret} in {answer:?}");
                }
            }
            _ => {}
        }
    }
    app.project().await;
    let (rows, messages) = (rows(&app).await, messages(&app).await);
    assert!(rows.iter().any(|(table, _)| table == "identity.external_logins"), "what was begun");
    assert!(rows.iter().any(|(_, row)| row.contains("identity.external-identity-linked")));
    for secret in &secrets {
        for form in forms(secret) {
            for (table, row) in &rows {
                assert!(!row.to_lowercase().contains(&form), "{secret} in {table}: {row}");
            }
            for message in &messages {
                assert!(!message.to_lowercase().contains(&form), "{secret} in {message}");
            }
        }
    }
}
