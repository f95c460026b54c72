//! What Annals does in a second, beside the limit of the machine and beside other event stores.

mod event;
mod ground;
mod load;

use std::time::Duration;

use eventstore::EventStore;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let postgres =
        testkit::Postgres::start_ephemeral_with(&["shared_buffers=2GB", "max_wal_size=8GB"])?;
    let time = Duration::from_secs(std::env::args().nth(1).map_or(3, |s| s.parse().unwrap()));
    for rows in [1, 1000] {
        let db = testkit::TestDatabase::create_on(&postgres, &MIGRATOR).await;
        println!("ground {rows}: {:?}", ground::insert(db.url(), rows, time).await?);
    }
    for tasks in std::env::args().skip(2).map(|s| s.parse().unwrap()) {
        let db = testkit::TestDatabase::create_on(&postgres, &MIGRATOR).await;
        let pool = PgPoolOptions::new().max_connections(16).connect(db.url()).await?;
        let store = EventStore::open(pool).await?;
        let m = load::run(tasks, time, move |_| {
            let store = store.clone();
            async move {
                store.append(event::append(event::id(), 0)).await?;
                Ok(())
            }
        })
        .await?;
        println!("annals {tasks}: {m:?}");
    }
    Ok(())
}
