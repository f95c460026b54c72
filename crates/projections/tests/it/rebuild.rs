//! A read model is made anew beside the live one: nobody notices but the operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::orders::{self, ORDERS};
use projections::products::PRODUCTS;
use projections::rebuild::{self, Options, RebuildError, Request};
use testkit::eventually;
use tokio::task::JoinSet;

use crate::history::{self, History};
use crate::support::{FULL_SPEED, LIMIT, World, worker};

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

async fn short_history(world: &World) -> History {
    let mut history = History::default();
    history.list(world, 50).await;
    for _ in 0..10 {
        history.place(world, &[(0, 2)]).await;
    }
    history.tell_all(world).await;
    history
}

/// The schemas of read models, with what their making leaves or not.
async fn schemas(world: &World) -> Vec<String> {
    let query = r"
        SELECT nspname::text FROM pg_namespace
        WHERE nspname LIKE 'orders\_%' OR nspname LIKE 'products\_%'
        ORDER BY nspname";
    sqlx::query_scalar(query).fetch_all(&world.pool()).await.unwrap()
}

async fn wait(world: &World, query: &'static str) {
    eventually(LIMIT, query, || async {
        let is_so: bool = sqlx::query_scalar(query).fetch_one(&world.pool()).await.unwrap();
        if is_so { Ok(()) } else { Err("not yet") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_made_anew_a_model_serves_and_follows() {
    let world = Arc::new(World::new().await);
    let mut history = long_history(&world).await;
    history.place(&world, &[(0, 1)]).await;
    let worker = world.follow();
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
                let page = orders::list(
                    &pool,
                    orders::Listing::of(projections::Tenant::All),
                    None,
                    10_000,
                )
                .await
                .expect("queries never fail");
                assert!(page.orders.len() >= seen, "what was there stays there");
                assert!(page.orders.iter().all(|order| !order.lines.is_empty()), "whole orders");
                seen = page.orders.len();
                assert!(seen > 0, "nobody sees an empty model");
                answers += 1;
            }
            answers
        }
    });

    for _ in 0..4 {
        for projection in projections::ALL {
            let progress = world.rebuild(projection).await;
            let comparison = progress.comparison.expect("it was compared");
            assert!(comparison.is_equal(), "{comparison:#?}");
        }
        // The follower that was put out by the switch goes on.
        world.all_catch_up().await;
    }
    over.store(true, Ordering::Relaxed);
    let history = appending.await.unwrap();
    assert!(querying.await.unwrap() > 0);
    world.all_catch_up().await;

    let page =
        orders::list(&world.pool(), orders::Listing::of(projections::Tenant::All), None, u16::MAX)
            .await
            .unwrap();
    let mut listed: Vec<_> = page.orders.iter().map(|order| order.id).collect();
    listed.reverse();
    assert_eq!(listed, history.orders, "every order once, in the order they were placed");
    worker.stop().await;
    world.is_as_the_log_says().await;
    let left = schemas(&world).await;
    assert_eq!(left.len(), 4, "the live ones and what they replaced: {left:?}");
}

#[tokio::test]
async fn of_two_at_once_the_second_is_refused() {
    let world = World::new().await;
    short_history(&world).await;
    let worker_of_first = worker();
    let request = Request { projection: &ORDERS, worker: &worker_of_first, by: "test" };
    let first = rebuild::begin(&world.pool(), request, FULL_SPEED).await.unwrap();
    let second = world.begin_rebuild(&ORDERS, FULL_SPEED).await;
    assert!(matches!(second, Err(RebuildError::UnderWay(_))));
    // Another read model has nothing to do with it.
    world.rebuild(&PRODUCTS).await;
    let making = world.make_as(worker_of_first);
    world.reaches(first, "live").await;
    making.stop().await;
    world.rebuild(&ORDERS).await;
}

/// Whoever conducts it dies in the middle: what was made is not made again, and somebody else who
/// knows the read model ends it.
#[tokio::test]
async fn who_dies_in_the_middle_is_replaced_and_no_event_is_taken_twice() {
    let world = World::new().await;
    short_history(&world).await;
    let keeper = world.follow();
    world.all_catch_up().await;
    let (id, making) = world.begin_rebuild(&ORDERS, FULL_SPEED).await.unwrap();
    // Nobody gets past these tables.
    let table = format!("LOCK TABLE orders_v4_g{id}.orders IN ACCESS EXCLUSIVE MODE");
    let mut holding = world.pool().begin().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(table)).execute(&mut *holding).await.unwrap();
    world.wait_for_locks(1).await;
    making.abort().await;
    holding.rollback().await.unwrap();
    let progress = world.reaches(id, "live").await;
    assert!(progress.comparison.unwrap().is_equal());
    keeper.stop().await;
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn it_rests_goes_on_and_is_given_up() {
    let world = World::new().await;
    let mut history = short_history(&world).await;
    let keeper = world.follow();
    world.all_catch_up().await;
    let live = world.rows(&ORDERS).await;
    let worker = worker();
    let request = Request { projection: &ORDERS, worker: &worker, by: "test" };
    let id = rebuild::begin(&world.pool(), request, FULL_SPEED).await.unwrap();
    rebuild::set_paused(&world.pool(), &ORDERS, true, "test").await.unwrap();
    let making = world.make_as(worker);
    wait(&world, "SELECT EXISTS (SELECT 1 FROM projections.generations WHERE state = 'building' AND goal > 0)")
        .await;
    history.place(&world, &[(0, 1)]).await;
    let progress = rebuild::progress(&world.pool(), id).await.unwrap().unwrap();
    assert!(progress.paused && progress.conducted);
    assert_eq!(progress.state, "building");
    rebuild::set_paused(&world.pool(), &ORDERS, false, "test").await.unwrap();
    world.reaches(id, "live").await;

    let other = crate::support::worker();
    let request = Request { projection: &ORDERS, worker: &other, by: "test" };
    let id = rebuild::begin(&world.pool(), request, FULL_SPEED).await.unwrap();
    rebuild::set_paused(&world.pool(), &ORDERS, true, "test").await.unwrap();
    let second = world.make_as(other);
    rebuild::cancel(&world.pool(), &ORDERS, "test").await.unwrap();
    assert!(rebuild::progress(&world.pool(), id).await.unwrap().is_none());
    let none = rebuild::cancel(&world.pool(), &ORDERS, "test").await;
    assert!(matches!(none, Err(RebuildError::NotUnderWay(_))));
    assert!(!schemas(&world).await.contains(&format!("orders_v4_g{id}")));
    world.all_catch_up().await;
    assert!(world.rows(&ORDERS).await.len() > live.len());
    for running in [keeper, making, second] {
        running.stop().await;
    }
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn what_is_made_can_wait_and_what_was_replaced_comes_back() {
    let world = World::new().await;
    let mut history = short_history(&world).await;
    let keeper = world.follow();
    world.all_catch_up().await;
    let hold = Options { hold: true, ..FULL_SPEED };
    let (id, making) = world.begin_rebuild(&ORDERS, hold).await.unwrap();
    world.reaches(id, "built").await;
    making.stop().await;
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;

    let worker = worker();
    let request = Request { projection: &ORDERS, worker: &worker, by: "test" };
    assert_eq!(rebuild::release(&world.pool(), request).await.unwrap(), id);
    let making = world.make_as(worker.clone());
    world.reaches(id, "live").await;
    world.is_as_the_log_says().await;
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;

    // What has happened since is in what comes back.
    let before = rebuild::switch_back(&world.pool(), request).await.unwrap();
    assert_ne!(before, id);
    world.reaches(before, "live").await;
    world.catches_up(&ORDERS).await;
    let page =
        orders::list(&world.pool(), orders::Listing::of(projections::Tenant::All), None, 100)
            .await
            .unwrap();
    assert_eq!(page.orders.len(), history.orders.len());
    world.is_as_the_log_says().await;

    rebuild::discard(&world.pool(), &ORDERS, "test").await.unwrap();
    let none = rebuild::switch_back(&world.pool(), request).await;
    assert!(matches!(none, Err(RebuildError::NoneKept { .. })));
    assert_eq!(schemas(&world).await, ["orders_v4", "products_v2"]);
    making.stop().await;
    keeper.stop().await;
}

/// What the live one has and the log has not, or the other way round, is listed, and mended.
#[tokio::test]
async fn what_differs_is_listed_and_mended() {
    let world = World::new().await;
    let history = short_history(&world).await;
    let keeper = world.follow();
    world.all_catch_up().await;
    let drift = r"
        UPDATE orders_v4.orders SET total = total + 1 WHERE order_id = $1::uuid;
        ";
    sqlx::query(drift).bind(history.orders[3].get()).execute(&world.pool()).await.unwrap();
    sqlx::query("DELETE FROM orders_v4.order_lines WHERE order_id = $1")
        .bind(history.orders[4].get())
        .execute(&world.pool())
        .await
        .unwrap();
    let comparison = world.verify(&ORDERS).await;
    assert!(!comparison.is_equal());
    let [lines, orders] = comparison.tables.clone().try_into().unwrap();
    assert_eq!((lines.table.as_str(), lines.live_rows, lines.new_rows), ("order_lines", 9, 10));
    assert_eq!(lines.examples[0].key, format!("{}, 0", history.orders[4]));
    assert!(lines.examples[0].live.is_none() && lines.examples[0].new.is_some());
    assert_eq!((orders.live_rows, orders.new_rows, orders.different), (10, 10, 1));
    assert_ne!(orders.live_digest, orders.new_digest);
    assert_eq!(orders.examples[0].key, history.orders[3].to_string());

    let progress = world.rebuild(&ORDERS).await;
    assert_eq!(progress.comparison.unwrap().tables, comparison.tables);
    world.is_as_the_log_says().await;
    keeper.stop().await;
}

#[tokio::test]
async fn a_model_that_nobody_keeps_can_be_made() {
    let world = World::new().await;
    let history = short_history(&world).await;
    world.rebuild(&ORDERS).await;
    let order = orders::get(&world.pool(), projections::Tenant::All, history.orders[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(order.status, orders::Status::Confirmed);
}

/// A shape that the log is older than: it is made by whoever comes to keep it, and until then there is
/// nothing that could be taken for it.
#[tokio::test]
async fn a_new_model_is_made_before_it_is_there() {
    let world = World::without_models().await;
    let history = short_history(&world).await;
    projections::prepare(&world.pool(), projections::ALL).await.unwrap();
    assert!(orders::get(&world.pool(), projections::Tenant::All, history.orders[0]).await.is_err());
    let keeper = world.follow();
    eventually(LIMIT, "orders to be there", || async {
        orders::get(&world.pool(), projections::Tenant::All, history.orders[0])
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(())
    })
    .await;
    let page =
        orders::list(&world.pool(), orders::Listing::of(projections::Tenant::All), None, 100)
            .await
            .unwrap();
    assert_eq!(page.orders.len(), history.orders.len(), "all of it from the first moment on");
    world.all_catch_up().await;
    keeper.stop().await;
    world.is_as_the_log_says().await;
}
