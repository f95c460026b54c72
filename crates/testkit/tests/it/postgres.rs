//! A private PostgreSQL: started, killed, frozen, restarted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use sqlx::Connection;
use testkit::{Postgres, ServiceOptions, Services, eventually};

use crate::support::{LIMIT, Scratch, connect, is_alive, setting};

#[tokio::test]
async fn is_durable_and_closed_and_not_root() {
    let postgres = Postgres::start_ephemeral().unwrap();
    let mut connection = connect(&postgres.url()).await;
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&mut connection, name).await, "on", "{name}");
    }
    assert_eq!(setting(&mut connection, "listen_addresses").await, "127.0.0.1");
    assert_eq!(setting(&mut connection, "server_encoding").await, "UTF8");
    assert_eq!(setting(&mut connection, "max_connections").await, "200");

    if let Ok(process) = fs::metadata(format!("/proc/{}", postgres.pid())) {
        assert_ne!(process.uid(), 0, "PostgreSQL runs as root");
    }
    let guess = postgres.url().replacen('@', "x@", 1);
    let error = sqlx::PgConnection::connect(&guess).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");

    let pid = postgres.pid();
    postgres.stop().unwrap();
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn keeps_port_and_data_over_stop_and_kill() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let url = postgres.url();
    let mut connection = connect(&url).await;
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .execute(&mut connection)
        .await
        .unwrap();
    drop(connection);

    postgres.restart().unwrap();
    assert_eq!(postgres.url(), url);
    let mut connection = connect(&url).await;
    sqlx::raw_sql("INSERT INTO kept VALUES (2)").execute(&mut connection).await.unwrap();

    // With a session open, whose backend must not keep the next start from its data.
    let killed = postgres.pid();
    postgres.kill9();
    assert!(!is_alive(killed));
    assert_eq!(postgres.pid(), 0);
    connection.ping().await.unwrap_err();
    postgres.restart().unwrap();
    let kept: Vec<i32> = sqlx::query_scalar("SELECT n FROM kept ORDER BY n")
        .fetch_all(&mut connect(&url).await)
        .await
        .unwrap();
    assert_eq!(kept, [1, 2]);
}

#[tokio::test]
async fn answers_nothing_while_paused_and_goes_on_when_resumed() {
    let postgres = Postgres::start_ephemeral().unwrap();
    let mut connection = connect(&postgres.url()).await;
    connection.ping().await.unwrap();

    postgres.pause();
    let mut ping = std::pin::pin!(connection.ping());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut ping).await;
    assert!(early.is_err(), "a paused server answered");
    postgres.resume();
    tokio::time::timeout(LIMIT, ping).await.unwrap().unwrap();

    // Stopping a paused one works as well, its backends included.
    postgres.pause();
    let pid = postgres.pid();
    postgres.stop().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn runs_below_a_directory_that_its_user_cannot_enter() {
    if !rustix::process::geteuid().is_root() {
        return; // The server's user is then ours, which can.
    }
    let scratch = Scratch::new("closed");
    let closed = scratch.path().join("closed");
    let root = closed.join("checkout/.annals");
    fs::create_dir_all(&root).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();

    let told = std::cell::RefCell::new(Vec::new());
    let report = |line: &str| told.borrow_mut().push(line.to_owned());
    let options = ServiceOptions {
        root: root.clone(),
        database_url: None,
        nats_url: Some("nats://elsewhere".to_owned()),
        report: &report,
    };
    let first = Services::start(&options).unwrap();
    let url = first.database_url.clone();
    first.stop().unwrap();
    let target = fs::read_link(root.join("postgres")).unwrap();
    assert!(target.starts_with("/var/lib/annals"), "{}", target.display());
    assert!(told.borrow().iter().any(|line| line.contains("/var/lib/annals")), "{told:?}");

    let again = Services::start(&options).unwrap();
    assert_eq!(again.database_url, url, "the same data, password and port");
    again.stop().unwrap();
    fs::remove_dir_all(target).unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_of_a_living_stranger_does_not_block() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let mut connection = connect(&postgres.url()).await;
    let data = setting(&mut connection, "data_directory").await;
    drop(connection);
    postgres.kill9();
    let path = std::path::Path::new(&data).join("postmaster.pid");
    let stale = fs::read_to_string(&path).unwrap();
    let (_, rest) = stale.split_once('\n').unwrap();
    fs::write(&path, format!("{}\n{rest}", std::process::id())).unwrap();

    postgres.restart().unwrap();
    let url = postgres.url();
    eventually(LIMIT, "a connection", || async {
        sqlx::PgConnection::connect(&url).await.map(drop)
    })
    .await;
}
