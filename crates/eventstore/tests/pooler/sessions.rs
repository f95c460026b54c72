//! That the pooler does what makes it hard, and that the store leaves nothing behind in it.

use std::collections::HashSet;

use sqlx::PgPool;
use testkit::TestDatabase;
use tokio::task::JoinSet;

use crate::site::Site;

/// One client that asks again and again is on several connections of the server: else nothing here
/// would prove anything.
pub(crate) async fn change(site: &Site) -> String {
    let database = site.database().await;
    let one = site.pool(&database, 1).await;
    let busy = site.pool(&database, 8).await;
    let mut others = JoinSet::new();
    for _ in 0..8 {
        others.spawn(ask(busy.clone(), 100));
    }
    let seen = ask(one, 100).await;
    let mut all = seen.clone();
    for other in others.join_all().await {
        all.extend(other);
    }
    assert!(seen.len() > 1, "one client was on several connections");
    let most = usize::try_from(site.pgbouncer.pool_size()).expect("a small number");
    assert!(all.len() <= most, "many clients share {most} connections");
    format!("one client was on {} of {} connections", seen.len(), all.len())
}

async fn ask(pool: PgPool, times: usize) -> HashSet<i32> {
    let mut seen = HashSet::new();
    for _ in 0..times {
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await;
        seen.insert(pid.expect("an answer"));
    }
    seen
}

/// No connection of the pooler listens, or holds a lock that nobody else can free: whoever gets it
/// next would get notifications in the middle of their answers, or wait for ever.
pub(crate) async fn assert_nothing_is_left(site: &Site, database: &TestDatabase) {
    let pool = site.pool(database, site.pgbouncer.pool_size()).await;
    // All at once, so that each of them is looked at.
    let mut looked = Vec::new();
    for _ in 0..site.pgbouncer.pool_size() {
        let mut transaction = pool.begin().await.expect("a transaction");
        let left: (i32, i64, i64) = sqlx::query_as(
            "SELECT pg_backend_pid(),
                    (SELECT count(*) FROM pg_listening_channels()),
                    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')",
        )
        .fetch_one(&mut *transaction)
        .await
        .expect("an answer");
        looked.push((left, transaction));
    }
    let pids: HashSet<_> = looked.iter().map(|((pid, ..), _)| pid).collect();
    assert_eq!(pids.len(), looked.len(), "each connection was looked at");
    for ((pid, channels, locks), _) in &looked {
        assert_eq!((*channels, *locks), (0, 0), "channels and locks of {pid}");
    }
}
