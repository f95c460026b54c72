//! The database goes away.

use testkit::{Postgres, eventually};

use super::world::{Process, confirm, small};
use crate::support::{LIMIT, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_the_database() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let app = TestApp::on(&postgres).await;
    let process = Process::start(&app, small()).await;
    let mut feed = process.open("").await;
    confirm(&app, 1).await;
    assert_eq!(feed.positions(1).await, [1]);
    postgres.kill9();
    // Somebody who asks meanwhile is told so.
    let refused = process.ask("", None).await.err().unwrap().to_string();
    assert!(refused.contains("database-unavailable"), "{refused}");
    postgres.restart().unwrap();
    eventually(LIMIT, "the database", async || app.store().head().await).await;
    for number in 2..100 {
        confirm(&app, number).await;
    }
    assert_eq!(feed.positions(98).await, (2..100).collect::<Vec<_>>());
    assert_eq!(process.open("after=97").await.positions(2).await, [98, 99]);
}
