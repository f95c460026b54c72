//! What `annals dev` tells the one who started it.

use std::fmt::Write as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use testkit::Services;

use crate::config::Config;

/// Variables for a shell of the user.
///
/// # Errors
/// A value holds what cannot be quoted for a shell.
pub(super) fn environment(config: &Config, services: &Services) -> anyhow::Result<String> {
    let keys = config.keys.encryption.as_ref().map(|keys| keys.expose_secret().to_owned());
    let variables = [
        ("DATABASE_URL", services.database_url.clone()),
        ("NATS_URL", services.nats_url.clone()),
        ("ANNALS_URL", config.http.url()),
        ("ANNALS_KEYS__ENCRYPTION", keys.unwrap_or_default()),
    ];
    let mut text = String::new();
    for (name, value) in variables {
        anyhow::ensure!(!value.contains('\''), "{name} holds a quote");
        writeln!(text, "export {name}='{value}'")?;
    }
    Ok(text)
}

/// Where to look, and what to paste.
pub(super) fn text(config: &Config, file: &Path) -> String {
    let url = config.http.url();
    let namespace = &config.nats.namespace;
    let stream = namespace.to_uppercase();
    let file = file.display();
    let program = std::env::args().next().unwrap_or_else(|| "annals".to_owned());
    let [operator, customer] = super::demo::USERS;
    let (email, _, password) = operator;
    let logins = format!("{email} / {password}\n            {} / {}", customer.0, customer.2);
    format!(
        r#"
Annals is ready.

  HTTP      {url}   (/explorer, /readyz, /metrics, /problems)
  shell     . {file}   sets DATABASE_URL, NATS_URL, ANNALS_URL and the keys
  subscribe JetStream stream {stream}, subjects {namespace}.>   (README: a subscriber in Python)
  log       {program} events tail --after 0
  mail      in the log of this process
  logins    {logins}

  TOKEN=$(curl -s {url}/v1/sessions -H 'Content-Type: application/json' \
    -d '{{"email":"{email}","password":"{password}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s {url}/v1/products -H "Authorization: Bearer $TOKEN"
  curl -s {url}/v1/orders -H "Authorization: Bearer $TOKEN"

Ctrl-C drains and stops everything."#
    )
}
