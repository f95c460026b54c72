//! What is typed wrong, or into the wrong place, gives one sentence and a failure.

use std::net::TcpListener;
use std::process::Output;

use sqlx::PgPool;
use sqlx::migrate::Migrator;
use testkit::TestDatabase;

use crate::support::{MIGRATOR, annals};

/// What `arguments` answers, with the database at `url`.
pub(crate) fn run(arguments: &[&str], url: &str) -> Output {
    annals(arguments)
        .env("DATABASE_URL", url)
        .env("NATS_URL", "nats://127.0.0.1:1")
        .output()
        .unwrap()
}

/// The one sentence of a failure.
pub(crate) fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let sentences: Vec<_> = text.lines().filter(|line| line.starts_with("annals: ")).collect();
    let [sentence] = sentences.as_slice() else { panic!("one sentence: {text}") };
    (*sentence).to_owned()
}

async fn applied(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let output = run(&["serve", "--set", &format!("http.address={address}")], database.url());
    let sentence = refusal(&output);
    assert!(sentence.contains(&format!("{address} is in use")), "{sentence}");
}

#[test]
fn a_database_that_is_not_there_is_named() {
    let database = "postgres://annals:hunter2@127.0.0.1:1/annals";
    let output = run(&["serve", "--set", "http.address=127.0.0.1:0"], database);
    let sentence = refusal(&output);
    assert!(sentence.contains("cannot connect to PostgreSQL at 127.0.0.1:1"), "{sentence}");
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_another_version_is_refused_until_it_is_migrated() {
    let nothing = Migrator::with_migrations(Vec::new());
    let empty = TestDatabase::create(&nothing).await;
    let serve = ["serve", "--set", "http.address=127.0.0.1:0"];
    for arguments in [serve.as_slice(), &["events", "tail", "--no-follow"]] {
        let sentence = refusal(&run(arguments, empty.url()));
        assert!(sentence.contains("run `annals migrate`"), "{sentence}");
    }
    assert!(run(&["migrate"], empty.url()).status.success());
    assert!(run(&["events", "tail", "--no-follow"], empty.url()).status.success());
    assert!(run(&["migrate"], empty.url()).status.success(), "safe to repeat");

    let pool = empty.pool();
    let newer = "UPDATE _sqlx_migrations SET version = $1 WHERE version = $2";
    let version = applied(&pool).await;
    sqlx::query(newer).bind(version + 1).bind(version).execute(&pool).await.unwrap();
    let sentence = refusal(&run(&serve, empty.url()));
    assert!(sentence.contains("run a newer annals"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_looked_at() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let absent = run(&["events", "show", "ordering.order-1"], database.url());
    assert!(refusal(&absent).contains("no stream is called ordering.order-1"));
    let unknown = run(&["events", "tail", "--type", "ordering.order-plcaed"], database.url());
    assert!(refusal(&unknown).contains("ordering.order-placed"), "it names those there are");
    let unknown = run(&["projections", "rebuild", "ordres"], database.url());
    assert!(refusal(&unknown).contains("orders, organizations, products, users"));
    let slower = run(&["projections", "rebuild", "orders", "--slowdown", "1"], database.url());
    assert_eq!(slower.status.code(), Some(2), "no number above 1: {slower:?}");
    let rebuilt = run(&["projections", "rebuild", "orders"], database.url());
    assert!(rebuilt.status.success(), "an empty log gives an empty model: {rebuilt:?}");
}

#[test]
fn settings_can_be_checked_and_shown_without_their_secrets() {
    let url = "postgres://annals:hunter2@127.0.0.1:1/annals";
    let checked = run(&["config", "check"], url);
    assert!(checked.status.success(), "{checked:?}");
    let shown = String::from_utf8(run(&["config", "show"], url).stdout).unwrap();
    assert!(
        shown.contains("address = \"127.0.0.1:8080\"") && !shown.contains("hunter2"),
        "{shown}"
    );
    let everywhere = ["config", "check", "--set", "http.address=0.0.0.0:80"];
    assert!(run(&everywhere, url).status.success(), "strangers may do nothing with it");
    let open = [everywhere.as_slice(), &["--set", "http.anonymous=*"]].concat();
    assert!(refusal(&run(&open, url)).contains("`http.anonymous`"));
    let unknown = annals(&["config", "check"]).env("ANNALS_HTP__PORT", "1").output().unwrap();
    assert!(refusal(&unknown).contains("htp"));
}

#[test]
fn a_key_is_made_that_can_be_used() {
    let made = annals(&["keys", "generate", "2027"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap();
    assert!(key.starts_with("2027=") && key.lines().count() == 1, "nothing else is printed");
    let again = annals(&["keys", "generate", "2027"]).output().unwrap();
    assert_ne!(again.stdout, key.as_bytes(), "each is another one");
    let used = annals(&["config", "check"]).env("ANNALS_KEYS__ENCRYPTION", key.trim()).output();
    assert!(used.unwrap().status.success());
    let unusable = annals(&["keys", "generate", "the year 2027"]).output().unwrap();
    assert!(refusal(&unusable).contains("cannot be called that"));
    assert!(unusable.stdout.is_empty(), "no key is shown that cannot be used");
}
