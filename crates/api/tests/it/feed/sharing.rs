//! What connections cost.

use api::feed::Settings;
use tokio::task::JoinSet;

use super::world::{Process, confirm, small};
use crate::statements;
use crate::support::TestApp;

/// The log is read once for all of them.
#[tokio::test]
async fn more_connections_ask_the_database_for_no_more() {
    let app = TestApp::new().await;
    let process = Process::start(&app, Settings { ring_messages: 1_000, ..small() }).await;
    let mut feeds = Vec::new();
    for _ in 0..100 {
        feeds.push(process.open("").await);
    }
    confirm(&app, 0).await;
    for feed in &mut feeds {
        assert_eq!(feed.positions(1).await, [1]);
    }
    let counted = statements::count();
    for number in 1..=20 {
        confirm(&app, number).await;
    }
    let mut reading: JoinSet<_> = JoinSet::new();
    for mut feed in feeds {
        reading.spawn(async move { feed.positions(20).await });
    }
    while let Some(positions) = reading.join_next().await {
        assert_eq!(positions.unwrap(), (2..=21).collect::<Vec<_>>());
    }
    let sent = counted.sent();
    let reads = sent.iter().filter(|statement| statement.contains("ORDER BY e.position"));
    assert!(
        reads.count() <= 60,
        "a read or two for each append, not for each connection: {sent:#?}"
    );
}
