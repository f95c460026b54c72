//! Which source wins, and what is refused.

use std::collections::HashMap;

use super::sources::load_from;
use super::{Config, Role};
use crate::cli::Settings;

fn load(variables: &[(&str, &str)], set: &[(&str, &str)]) -> anyhow::Result<Config> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let environment: HashMap<_, _> = variables.iter().map(owned).collect();
    let settings = Settings { config: None, set: set.iter().map(owned).collect() };
    load_from(&settings, &environment)
}

fn refusal(variables: &[(&str, &str)], set: &[(&str, &str)]) -> String {
    format!("{:#}", load(variables, set).unwrap_err())
}

#[test]
fn defaults_can_be_used() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.http.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.roles, [Role::Api, Role::Relay, Role::Projector, Role::Worker]);
    assert!(config.database.url.is_none(), "no secret has a default");
}

#[test]
fn flags_win_over_the_environment() {
    let environment = ("ANNALS_HTTP__ADDRESS", "127.0.0.1:1111");
    let config = load(&[environment], &[]).unwrap();
    assert_eq!(config.http.address.port(), 1111);
    let config = load(&[environment], &[("http.address", "127.0.0.1:2222")]).unwrap();
    assert_eq!(config.http.address.port(), 2222);
}

#[test]
fn a_file_wins_over_defaults_and_loses_to_the_environment() {
    let file = std::env::temp_dir().join(format!("annals-config-{}.toml", std::process::id()));
    std::fs::write(&file, "[http]\ndeadline_ms = 7\nbody_limit_bytes = 9\n").unwrap();
    let settings = Settings { config: Some(file.clone()), set: Vec::new() };
    let variables = HashMap::from([("ANNALS_HTTP__DEADLINE_MS".to_owned(), "8".to_owned())]);
    let config = load_from(&settings, &variables);
    std::fs::remove_file(file).unwrap();
    let http = config.unwrap().http;
    assert_eq!((http.deadline_ms, http.body_limit_bytes), (8, 9));
}

#[test]
fn roles_are_a_list_in_every_source() {
    let expected = [Role::Relay, Role::Worker];
    assert_eq!(load(&[("ANNALS_ROLES", "relay,worker")], &[]).unwrap().roles, expected);
    assert_eq!(load(&[], &[("roles", "relay,worker")]).unwrap().roles, expected);
}

#[test]
fn a_text_stays_the_text_it_is() {
    let config = load(&[("ANNALS_NATS__NAMESPACE", "007")], &[]).unwrap();
    assert_eq!(config.nats.namespace, "007");
    let config = load(&[("ANNALS_HTTP__DEADLINE_MS", "7")], &[("nats.replicas", "3")]).unwrap();
    assert_eq!((config.http.deadline_ms, config.nats.replicas.get()), (7, 3));
}

#[test]
fn unknown_keys_are_refused_by_name() {
    assert!(refusal(&[("ANNALS_HTTP__ADRESS", "x")], &[]).contains("adress"));
    assert!(refusal(&[], &[("htp.address", "x")]).contains("htp"));
}

#[test]
fn values_of_another_type_are_refused_by_key() {
    let text = refusal(&[], &[("http.deadline_ms", "soon")]);
    assert!(text.contains("deadline_ms"), "{text}");
}

#[test]
fn a_query_waits_for_its_read_model_at_most_half_of_the_deadline() {
    let wait = |wait, deadline| {
        let set = [("http.min_position_wait_ms", wait), ("http.deadline_ms", deadline)];
        load(&[], &set).unwrap().http.wait().as_millis()
    };
    assert_eq!(load(&[], &[]).unwrap().http.wait().as_millis(), 2_000);
    assert_eq!(wait("700", "10000"), 700);
    assert_eq!(wait("700", "1000"), 500);
    assert_eq!(wait("0", "1000"), 0, "it is answered what is there");
}

#[test]
fn what_is_not_for_strangers_is_for_this_machine_only() {
    let anywhere = ("http.address", "0.0.0.0:8080");
    let text = refusal(&[], &[anywhere, ("http.anonymous", "orders.read")]);
    assert!(text.contains("`http.anonymous`") && text.contains("loopback"), "{text}");
    load(&[], &[("http.anonymous", "*")]).expect("on this machine");
    load(&[], &[anywhere]).expect("strangers may come in");
    load(&[], &[anywhere, ("http.anonymous", "products.read")]).expect("and see what is offered");
}

#[test]
fn what_listens_everywhere_is_found_on_this_machine() {
    let url = |address| load(&[], &[("http.address", address)]).unwrap().http.url();
    assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
    assert_eq!(url("[::]:80"), "http://[::1]:80");
    assert_eq!(url("192.0.2.7:80"), "http://192.0.2.7:80");
}

#[test]
fn proxies_are_a_list_in_every_source_and_each_is_checked() {
    let variable = ("ANNALS_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1");
    let proxies = load(&[variable], &[]).unwrap().http.trusted_proxies;
    assert_eq!(proxies, ["10.0.0.0/8", "127.0.0.1"]);
    let none = load(&[variable], &[("http.trusted_proxies", "")]).unwrap();
    assert!(none.http.trusted_proxies.is_empty());
    let text = refusal(&[], &[("http.trusted_proxies", "10.0.0.0/8,proxy")]);
    assert!(text.contains("trusted_proxies") && text.contains("proxy"), "{text}");
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let text = refusal(&[], &[("http.tls_certificate", "/some/certificate.pem")]);
    assert!(text.contains("http.tls_key"), "{text}");
    let text = refusal(&[], &[("http.tls_key", "/some/key.pem")]);
    assert!(text.contains("http.tls_certificate"), "{text}");
}

#[test]
fn shown_settings_hold_no_password() {
    let secret = "postgres://annals:hunter2@127.0.0.1/annals?password=hunter2";
    let config = load(&[("DATABASE_URL", secret), ("NATS_URL", "nats://hunter2@127.0.0.1")], &[]);
    let config = config.unwrap();
    let shown = toml::to_string(&config).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://annals:***@127.0.0.1/annals"), "{shown}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn each_address_of_a_list_is_masked() {
    let list = "nats://one, nats://user:hunter2@two,nats://hunter2@three:4222";
    let shown = toml::to_string(&load(&[("NATS_URL", list)], &[]).unwrap()).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("nats://one") && shown.contains("user:***@two"), "{shown}");
    for comma in ["nats://u:hun,ter2@h", "hunter2,nats://one"] {
        let shown = toml::to_string(&load(&[("NATS_URL", comma)], &[]).unwrap()).unwrap();
        assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
    }
}

#[test]
fn of_keys_only_the_ids_are_shown() {
    let key = "c2VjcmV0IGtleSBvZiAzMiBieXRlcyBmb3IgdGVzdHM=";
    let keys = format!("2027={key},2026={key}");
    let config = load(&[("ANNALS_KEYS__ENCRYPTION", &keys)], &[]).unwrap();
    assert_eq!(config.keys.required().unwrap().current_id(), "2027");
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains(r#"encryption = "2027=***,2026=***""#), "{shown}");
    assert!(!format!("{config:?}{shown}").contains("c2Vj"));
    let text = refusal(&[("ANNALS_KEYS__ENCRYPTION", "hunter2")], &[]);
    assert!(text.contains("`keys.encryption`") && !text.contains("hunter2"), "{text}");
    let text = format!("{:#}", load(&[], &[]).unwrap().keys.required().unwrap_err());
    assert!(text.contains("ANNALS_KEYS__ENCRYPTION"), "no key has a default: {text}");
}

#[test]
fn of_headers_for_the_collector_only_the_names_are_shown() {
    let headers = ("ANNALS_TELEMETRY__OTLP_HEADERS", "authorization=Bearer secret,x-team=secret");
    let config = load(&[headers], &[("telemetry.otlp_endpoint", "http://127.0.0.1:4318")]).unwrap();
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains(r#"otlp_headers = "authorization=***,x-team=***""#), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn traces_that_cannot_be_sent_are_refused_with_the_reason() {
    for (key, value, reason) in [
        ("telemetry.otlp_endpoint", "127.0.0.1:4317", "`telemetry.otlp_endpoint` cannot be used"),
        ("telemetry.sample_ratio", "1.5", "it must be from 0 to 1"),
        ("telemetry.sample_ratio", "NaN", "it must be from 0 to 1"),
        ("telemetry.service_name", " ", "`telemetry.service_name` is empty"),
        ("telemetry.export_timeout_ms", "0", "must not be 0"),
    ] {
        let refusal = refusal(&[], &[(key, value)]);
        assert!(refusal.contains(reason), "{refusal}");
    }
}

/// What has to be set for mail to be sent.
const SMTP: [(&str, &str); 4] = [
    ("mail.transport", "smtp"),
    ("mail.host", "mail.example"),
    ("mail.from", "Shop <no-reply@shop.example>"),
    ("mail.base_url", "https://shop.example"),
];

#[test]
fn no_mail_is_sent_unless_somebody_says_how() {
    let mail = load(&[], &[]).unwrap().mail;
    assert!(mail.mailer().unwrap().is_none());
    assert!(mail.client_url().unwrap().is_none());
    let mail = load(&[], &SMTP).unwrap().mail;
    assert!(mail.mailer().unwrap().is_some());
    assert_eq!(mail.client_url().unwrap().unwrap().to_string(), "https://shop.example/");
}

#[test]
fn only_development_shows_mail_in_the_log() {
    let mut mail = load(&[], &[("mail.transport", "log")]).unwrap().mail;
    let text = mail.mailer().err().unwrap().to_string();
    assert!(text.contains("only `annals dev` does that"), "{text}");
    mail.for_development("http://127.0.0.1:8080".to_owned());
    assert!(mail.mailer().unwrap().is_some());
    assert_eq!(mail.client_url().unwrap().unwrap().to_string(), "http://127.0.0.1:8080/");
    let mut mail = load(&[], &[]).unwrap().mail;
    mail.for_development("http://192.0.2.7:8080".to_owned());
    assert_eq!(mail.client_url().unwrap().unwrap().to_string(), "http://localhost/");
    let text = refusal(&[], &[("mail.is_development", "true")]);
    assert!(text.contains("is_development"), "{text}");
}

#[test]
fn mail_that_cannot_be_sent_is_refused_with_the_reason() {
    let without = |key: &str| {
        let set: Vec<_> = SMTP.into_iter().filter(|(name, _)| *name != key).collect();
        refusal(&[], &set)
    };
    for key in ["mail.host", "mail.from", "mail.base_url"] {
        let text = without(key);
        assert!(text.starts_with(&format!("`{key}` is not set")), "{text}");
    }
    for (key, value, reason) in [
        ("mail.transport", "sendmail", "sendmail"),
        ("mail.from", "Shop", "`mail.from` cannot be used"),
        ("mail.base_url", "http://shop.example", "`mail.base_url` cannot be used"),
        ("mail.security", "none", "without TLS mail is sent to this machine only"),
        ("mail.hello_name", "a b", "the name for EHLO is no name of a host"),
        ("mail.username", "annals", "`mail.password` is not"),
        ("mail.password", "hunter2", "`mail.username` is not"),
        ("mail.timeout_ms", "0", "must not be 0"),
        ("mail.port", "0", "port"),
    ] {
        let text = refusal(&[], &[&SMTP[..], &[(key, value)]].concat());
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
    }
    let missing = [&SMTP[..], &[("mail.root_certificate", "/no/such.pem")]].concat();
    let text = format!("{:#}", load(&[], &missing).unwrap().mail.mailer().err().unwrap());
    assert!(text.contains("cannot read `mail.root_certificate` /no/such.pem"), "{text}");
}

#[test]
fn the_password_for_mail_is_not_shown() {
    let environment = [("ANNALS_MAIL__USERNAME", "annals"), ("ANNALS_MAIL__PASSWORD", "hunter2")];
    let config = load(&environment, &SMTP).unwrap();
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains("username = \"annals\"\npassword = \"***\""), "{shown}");
    assert!(!format!("{shown}{config:?}").contains("hunter2"));
}

/// What has to be set for people to log in elsewhere.
const PROVIDER: [(&str, &str); 4] = [
    ("external_login.redirect_uris", "https://shop.example/in,org.example.shop:/in"),
    ("external_login.providers.google.issuer", "https://accounts.google.com"),
    ("external_login.providers.google.client_id", "annals"),
    ("external_login.providers.google.client_secret", "hunter2"),
];

#[test]
fn people_log_in_elsewhere_where_somebody_says() {
    assert!(load(&[], &[]).unwrap().external_login.logins().unwrap().is_none());
    let config = load(&[], &PROVIDER).unwrap();
    let logins = config.external_login.logins().unwrap().unwrap();
    assert_eq!(logins.port.providers()[0].title, "google");
    let shown = toml::to_string(&config).unwrap();
    assert!(shown.contains("client_secret = \"***\""), "{shown}");
    assert!(!format!("{shown}{config:?}").contains("hunter2"));
    let named = ("ANNALS_EXTERNAL_LOGIN__PROVIDERS__GOOGLE__TITLE", "Google");
    let logins = load(&[named], &PROVIDER).unwrap().external_login.logins().unwrap().unwrap();
    assert_eq!(logins.port.providers()[0].title, "Google");
}

#[test]
fn providers_that_cannot_be_trusted_are_refused_with_the_reason() {
    for (key, value, reason) in [
        ("external_login.redirect_uris", "", "`external_login.redirect_uris` is empty"),
        ("external_login.redirect_uris", "http://shop.example", "no address to send browsers to"),
        ("external_login.timeout_ms", "0", "nonzero"),
        ("external_login.providers.google.issuer", "http://id.example", "has no TLS"),
        ("external_login.providers.google.issuer", "id.example", "no address of the form"),
        ("external_login.providers.google.client_id", "", "is empty"),
        ("external_login.providers.google.scopes", "email", "lack `openid`"),
        ("external_login.providers.2nd.issuer", "https://id.example", "client_id"),
    ] {
        let text = refusal(&[], &[&PROVIDER[..], &[(key, value)]].concat());
        assert!(text.contains(reason) && !text.contains("hunter2"), "{key}: {text}");
    }
}
