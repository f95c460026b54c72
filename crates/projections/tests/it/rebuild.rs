//! A rebuild beside the live model: nobody notices but the operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventstore::Position;
use projections::orders::{self, ORDERS};
use projections::products::PRODUCTS;
use projections::rebuild::{RebuildError, rebuild};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::history::{self, History};
use crate::support::World;

/// More events than a rebuild takes at once.
async fn long_history(world: &Arc<World>) -> History {
    let mut lists = JoinSet::new();
    for number in 0..600 {
        let world = Arc::clone(world);
        lists.spawn(async move { history::list(&world, number, 1_000).await });
    }
    let mut history = History::default();
    history.products = lists.join_all().await;
    history
}

/// The schemas of `ORDERS` and `PRODUCTS`, with what a rebuild leaves or not.
async fn schemas(world: &World) -> Vec<String> {
    let query = r"
        SELECT nspname::text FROM pg_namespace
        WHERE nspname LIKE 'orders\_%' OR nspname LIKE 'products\_%'
        ORDER BY nspname";
    sqlx::query_scalar(query).fetch_all(&world.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_rebuilt_a_model_serves_and_follows() {
    let world = Arc::new(World::new().await);
    let mut history = long_history(&world).await;
    history.place(&world, &[(0, 1)]).await;
    let workers = world.follow_all();
    world.all_catch_up().await;

    let over = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        async move {
            while !over.load(Ordering::Relaxed) {
                history.place(&world, &[(history.orders.len() % 600, 1), (599, 1)]).await;
                history.tell(&world, 5).await;
            }
            history.tell_all(&world).await;
            history
        }
    });
    let querying = tokio::spawn({
        let (pool, over) = (world.pool(), Arc::clone(&over));
        async move {
            let (mut answers, mut seen) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let page = orders::list(&pool, None, 10_000).await.expect("queries never fail");
                assert!(page.orders.len() >= seen, "what was there stays there");
                assert!(page.orders.iter().all(|order| !order.lines.is_empty()), "whole orders");
                seen = page.orders.len();
                assert!(seen > 0, "nobody sees an empty model");
                answers += 1;
            }
            answers
        }
    });

    for _ in 0..5 {
        rebuild(&world.store, &ORDERS, |_| {}).await.unwrap();
        rebuild(&world.store, &PRODUCTS, |_| {}).await.unwrap();
        // The worker that was put out by the switch goes on.
        world.all_catch_up().await;
    }
    over.store(true, Ordering::Relaxed);
    let history = appending.await.unwrap();
    assert!(querying.await.unwrap() > 0);
    world.all_catch_up().await;
    for worker in workers {
        worker.follows().await;
        worker.stop().await;
    }

    let page = orders::list(&world.pool(), None, u16::MAX).await.unwrap();
    let mut listed: Vec<_> = page.orders.iter().map(|order| order.id).collect();
    listed.reverse();
    assert_eq!(listed, history.orders, "nothing is lost, nothing doubled");
    for projection in projections::ALL {
        let live = world.rows(projection).await;
        rebuild(&world.store, projection, |_| {}).await.unwrap();
        assert_eq!(world.rows(projection).await, live);
    }
    assert_eq!(schemas(&world).await, ["orders_v1", "products_v1"], "nothing is left behind");
}

#[tokio::test]
async fn of_two_rebuilds_at_once_the_second_is_refused() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 5).await;
    history.place(&world, &[(0, 2)]).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    worker.stop().await;

    // Holds the first rebuild at its switch.
    let mut holding = world.store.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM eventstore.cursors WHERE name = $1 FOR UPDATE")
        .bind(ORDERS.cursor_name())
        .execute(&mut *holding)
        .await
        .unwrap();
    let (reports, mut reported) = mpsc::unbounded_channel();
    let first = tokio::spawn({
        let store = world.store.clone();
        async move { rebuild(&store, &ORDERS, |progress| reports.send(progress).unwrap()).await }
    });
    reported.recv().await.unwrap();

    let second = rebuild(&world.store, &ORDERS, |_| {}).await;
    assert!(matches!(second, Err(RebuildError::UnderWay("orders"))), "{second:?}");
    // Another read model has nothing to do with it.
    rebuild(&world.store, &PRODUCTS, |_| {}).await.unwrap();

    holding.rollback().await.unwrap();
    let head = world.store.head().await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), head);
    let last = std::iter::from_fn(|| reported.try_recv().ok()).last().unwrap();
    assert_eq!((last.position, last.head), (head, head), "the last report is of the end");
    rebuild(&world.store, &ORDERS, |_| {}).await.expect("one is over, so another may begin");
}

#[tokio::test]
async fn a_rebuild_that_was_cut_off_leaves_the_live_model_and_the_next_one_works() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 5).await;
    history.place(&world, &[(0, 2)]).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    worker.stop().await;
    let live = world.rows(&ORDERS).await;

    let mut holding = world.store.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM eventstore.cursors WHERE name = $1 FOR UPDATE")
        .bind(ORDERS.cursor_name())
        .execute(&mut *holding)
        .await
        .unwrap();
    let cut_off = tokio::spawn({
        let store = world.store.clone();
        async move { rebuild(&store, &ORDERS, |_| {}).await }
    });
    world.wait_for_locks(1).await;
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());
    holding.rollback().await.unwrap();

    assert_eq!(world.rows(&ORDERS).await, live);
    // The session of the one that was cut off ends when the server notices.
    testkit::eventually(crate::support::LIMIT, "the next rebuild", async || {
        rebuild(&world.store, &ORDERS, |_| {}).await
    })
    .await;
    assert_eq!(world.rows(&ORDERS).await, live);
    assert_eq!(schemas(&world).await, ["orders_v1", "products_v1"]);
}

#[tokio::test]
async fn a_model_that_was_never_followed_can_be_rebuilt() {
    let world = World::new().await;
    assert_eq!(rebuild(&world.store, &ORDERS, |_| {}).await.unwrap(), Position::START);
    let mut history = History::default();
    history.list(&world, 5).await;
    history.place(&world, &[(0, 2)]).await;
    history.tell_all(&world).await;
    rebuild(&world.store, &ORDERS, |_| {}).await.unwrap();
    let order = orders::get(&world.pool(), history.orders[0]).await.unwrap().unwrap();
    assert_eq!(order.status, orders::Status::Confirmed);
}
