//! Another version of a read model comes, while processes of the earlier one still serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::orders::{self, ORDERS};
use projections::organizations::ORGANIZATIONS;
use projections::products::PRODUCTS;
use projections::users::USERS;
use projections::{Projection, generation};
use testkit::eventually;

use crate::history::History;
use crate::support::{LIMIT, World};

static ORDERS_NEXT: Projection = Projection { version: ORDERS.version + 1, ..ORDERS };
static EARLIER: [&Projection; 4] = [&ORDERS, &ORGANIZATIONS, &PRODUCTS, &USERS];
static LATER: [&Projection; 4] = [&ORDERS_NEXT, &ORGANIZATIONS, &PRODUCTS, &USERS];

async fn confirmed(world: &World, schema: &str) -> Result<i64, sqlx::Error> {
    let query = format!("SELECT count(*) FROM {schema}.orders WHERE status = 'confirmed'");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&world.pool()).await
}

async fn is_live(world: &World, projection: &Projection) -> bool {
    let generations = generation::of(&world.pool(), &projection.model()).await.unwrap();
    generations.iter().any(|known| known.state == generation::State::Live)
}

/// Under load: the earlier version is followed and queried without a gap until its last process is gone,
/// the later one is not there until it is whole, and what both read is shared all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_live_side_by_side_while_processes_are_replaced() {
    let world = Arc::new(World::without_models().await);
    projections::prepare(&world.pool(), &EARLIER).await.unwrap();
    let earlier = [world.follow_those(&EARLIER), world.follow_those(&EARLIER)];
    let mut history = History::default();
    history.list(&world, 100_000).await;
    for _ in 0..50 {
        history.place(&world, &[(0, 1)]).await;
    }
    history.tell_all(&world).await;
    world.catches_up(&ORDERS).await;

    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        async move {
            while !over.load(Ordering::Relaxed) {
                history.place(&world, &[(0, 1)]).await;
                history.tell(&world, 5).await;
            }
            history.tell_all(&world).await;
            history
        }
    });
    let queries = tokio::spawn({
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        async move {
            let (mut seen, mut seen_later) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let now = confirmed(&world, "orders_v4").await.expect("the earlier one serves");
                assert!(now >= seen, "what was there stays there");
                seen = now;
                if let Ok(later) = confirmed(&world, "orders_v5").await {
                    assert!(later >= 50 && later >= seen_later, "whole from the first moment on");
                    seen_later = later;
                }
            }
            (seen, seen_later)
        }
    });

    projections::prepare(&world.pool(), &LATER).await.unwrap();
    assert!(!is_live(&world, &ORDERS_NEXT).await);
    let mut later = vec![world.follow_those(&LATER)];
    eventually(LIMIT, "the later version to be live", || async {
        if is_live(&world, &ORDERS_NEXT).await { Ok(()) } else { Err("not yet") }
    })
    .await;
    for process in earlier {
        process.stop().await;
        later.push(world.follow_those(&LATER));
    }
    world.catches_up(&ORDERS_NEXT).await;
    let reached = confirmed(&world, "orders_v5").await.unwrap();
    eventually(LIMIT, "the later version to follow", || async {
        let now = confirmed(&world, "orders_v5").await.unwrap();
        if now > reached { Ok(()) } else { Err(now) }
    })
    .await;
    over.store(true, Ordering::Relaxed);
    let history = load.await.unwrap();
    let (_, seen_later) = queries.await.unwrap();
    assert!(seen_later > 0);
    for projection in LATER {
        world.catches_up(projection).await;
    }
    assert_eq!(
        confirmed(&world, "orders_v5").await.unwrap(),
        i64::try_from(history.orders.len()).unwrap()
    );

    // Back to the earlier version: it goes on from where it stood.
    let back = world.follow_those(&EARLIER);
    world.catches_up(&ORDERS).await;
    let page =
        orders::list(&world.pool(), orders::Listing::of(projections::Tenant::All), None, u16::MAX)
            .await
            .unwrap();
    assert_eq!(page.orders.len(), history.orders.len());
    back.stop().await;
    for process in later {
        process.stop().await;
    }
    world.is_as_the_log_says().await;
}
