//! Several processes for the same read models: they share the slots, and what is done is done once.

use projections::orders::{self, ORDERS};
use projections::products::PRODUCTS;
use projections::{SLOTS, Status, operations};
use testkit::eventually;

use crate::history::History;
use crate::support::{LIMIT, World};

async fn some_orders(world: &World) -> History {
    let mut history = History::default();
    history.list(world, 1_000).await;
    for _ in 0..20 {
        history.place(world, &[(0, 1)]).await;
    }
    history
}

async fn listed(world: &World) -> usize {
    orders::list(&world.pool(), orders::Listing::of(projections::Tenant::All), None, 1_000)
        .await
        .unwrap()
        .orders
        .len()
}

/// How many slots of orders each worker that is there holds, the most first.
async fn shares(world: &World) -> Vec<i64> {
    sqlx::query_scalar(
        r"
        SELECT count(*)
        FROM projections.slots AS s
        JOIN projections.generations AS g ON g.id = s.generation AND g.state = 'live'
        JOIN projections.workers AS w ON w.id = s.owner AND w.expires_at > clock_timestamp()
        WHERE g.model = 'orders_v4'
        GROUP BY w.id
        ORDER BY 1 DESC
        ",
    )
    .fetch_all(&world.pool())
    .await
    .unwrap()
}

async fn share_as(world: &World, wanted: &[i64]) {
    eventually(LIMIT, "the slots to be shared", || async {
        let shares = shares(world).await;
        if shares == wanted { Ok(()) } else { Err(shares) }
    })
    .await;
}

/// Holds up every batch of orders until it is dropped.
async fn hold_up(world: &World) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut holding = world.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders_v4.orders IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    holding
}

#[tokio::test]
async fn processes_share_the_slots_and_together_do_everything_once() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let first = world.follow();
    share_as(&world, &[i64::from(SLOTS)]).await;
    let second = world.follow();
    share_as(&world, &[4, 4]).await;
    let third = world.follow();
    share_as(&world, &[3, 3, 2]).await;
    for _ in 0..30 {
        history.place(&world, &[(0, 1)]).await;
    }
    history.tell_all(&world).await;
    world.all_catch_up().await;
    assert_eq!(listed(&world).await, 50);
    assert!(first.reached.of("orders_v4").is_none(), "it does not know of the others' slots");

    second.stop().await;
    share_as(&world, &[4, 4]).await;
    third.abort().await;
    share_as(&world, &[8]).await;
    history.place(&world, &[(0, 1)]).await;
    history.tell_all(&world).await;
    world.all_catch_up().await;
    assert_eq!(listed(&world).await, 51);
    assert_eq!(first.status(&ORDERS), Status::Following);
    first.stop().await;
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn who_stops_gives_its_slots_up_at_once() {
    let world = World::new().await;
    some_orders(&world).await;
    let first = world.follow();
    world.all_catch_up().await;
    first.stop().await;
    assert_eq!(shares(&world).await, Vec::<i64>::new());
    let free: i64 =
        sqlx::query_scalar("SELECT count(*) FROM projections.slots WHERE owner IS NULL")
            .fetch_one(&world.pool())
            .await
            .unwrap();
    assert_eq!(free, i64::from(SLOTS) * i64::try_from(projections::ALL.len()).unwrap());
    let workers: i64 = sqlx::query_scalar("SELECT count(*) FROM projections.workers")
        .fetch_one(&world.pool())
        .await
        .unwrap();
    assert_eq!(workers, 0);
}

#[tokio::test]
async fn who_dies_in_a_batch_is_replaced_when_its_lease_ends() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let first = world.follow();
    world.all_catch_up().await;
    let holding = hold_up(&world).await;
    history.place(&world, &[(0, 1)]).await;
    world.wait_for_locks(1).await;
    first.abort().await;
    holding.rollback().await.unwrap();

    let second = world.follow();
    history.place(&world, &[(0, 1)]).await;
    world.all_catch_up().await;
    assert_eq!(listed(&world).await, 22);
    second.stop().await;
    world.is_as_the_log_says().await;
}

/// The first one's batch is held up; it is then as good as frozen, and another one comes. Who holds the
/// row of a slot in a batch is waited for, so nothing happens twice.
#[tokio::test]
async fn a_batch_that_outlives_its_lease_takes_effect_once() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let first = world.follow();
    world.all_catch_up().await;
    let holding = hold_up(&world).await;
    history.place(&world, &[(0, 1)]).await;
    world.wait_for_locks(1).await;
    sqlx::query("UPDATE projections.workers SET id = gen_random_uuid(), expires_at = '-infinity'")
        .execute(&world.pool())
        .await
        .unwrap();
    let second = world.follow();
    holding.rollback().await.unwrap();
    world.all_catch_up().await;
    history.place(&world, &[(0, 1)]).await;
    world.all_catch_up().await;
    assert_eq!(listed(&world).await, 22);
    first.stop().await;
    second.stop().await;
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn whose_epoch_is_over_asks_and_goes_on() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let worker = world.follow();
    world.all_catch_up().await;
    sqlx::query("UPDATE projections.slots SET epoch = epoch + 1, owner = NULL")
        .execute(&world.pool())
        .await
        .unwrap();
    history.place(&world, &[(0, 1)]).await;
    world.all_catch_up().await;
    assert_eq!(listed(&world).await, 21);
    worker.stop().await;
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn what_is_paused_rests_and_others_go_on() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let worker = world.follow();
    world.all_catch_up().await;
    operations::set_paused(&world.pool(), &ORDERS, true, "somebody").await.unwrap();
    worker.comes_to(&ORDERS, "orders to rest", |status| *status == Status::Paused).await;
    history.place(&world, &[(0, 1)]).await;
    history.list(&world, 5).await;
    world.catches_up(&PRODUCTS).await;
    assert_eq!(listed(&world).await, 20);
    operations::set_paused(&world.pool(), &ORDERS, false, "somebody").await.unwrap();
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 21);
    let done: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action FROM projections.interventions ORDER BY id")
            .fetch_all(&world.pool())
            .await
            .unwrap();
    let by = |action: &str| ("somebody".to_owned(), action.to_owned());
    assert_eq!(done, [by("pause"), by("resume")]);
    sqlx::query("DELETE FROM projections.interventions").execute(&world.pool()).await.unwrap_err();
    worker.stop().await;
}

/// Events that a read model does not read cost it no statement, and yet it is known to have passed them.
#[tokio::test]
async fn what_is_not_read_moves_the_slots_along() {
    let world = World::new().await;
    let worker = world.follow();
    let mut history = History::default();
    history.list(&world, 5).await;
    world.all_catch_up().await;
    let taken: i64 = sqlx::query_scalar(
        "SELECT sum(events)::bigint FROM projections.slots JOIN projections.generations AS g ON g.id = generation WHERE g.model = 'orders_v4'",
    )
    .fetch_one(&world.pool())
    .await
    .unwrap();
    assert_eq!(taken, 0);
    worker.stop().await;
}

/// Batches do not wait for the disk, so a server that crashes may forget some: rows and slots, which whoever
/// holds the slots remembers otherwise. They are done again.
#[tokio::test]
async fn what_a_crashed_server_forgot_is_done_again() {
    let world = World::new().await;
    let mut history = some_orders(&world).await;
    let worker = world.follow();
    world.all_catch_up().await;
    let keep = "CREATE TABLE kept_orders AS TABLE orders_v4.orders; CREATE TABLE kept_lines AS TABLE orders_v4.order_lines; CREATE TABLE kept_slots AS TABLE projections.slots";
    sqlx::raw_sql(keep).execute(&world.pool()).await.unwrap();
    for _ in 0..10 {
        history.place(&world, &[(0, 1)]).await;
    }
    world.all_catch_up().await;
    // As it was written down, with the owners and epochs that still hold.
    let forget = "BEGIN; LOCK TABLE projections.slots;
        TRUNCATE orders_v4.orders, orders_v4.order_lines;
        INSERT INTO orders_v4.orders TABLE kept_orders;
        INSERT INTO orders_v4.order_lines TABLE kept_lines;
        UPDATE projections.slots AS s
        SET position = k.position, events = k.events, digest = k.digest
        FROM kept_slots AS k, projections.generations AS g
        WHERE k.generation = s.generation AND k.slot = s.slot AND g.id = s.generation AND g.model = 'orders_v4';
        COMMIT";
    sqlx::raw_sql(forget).execute(&world.pool()).await.unwrap();
    history.place(&world, &[(0, 1)]).await;
    world.all_catch_up().await;
    eventually(LIMIT, "everything to be there again", || async {
        let listed = listed(&world).await;
        if listed == 31 { Ok(()) } else { Err(listed) }
    })
    .await;
    world.all_catch_up().await;
    worker.stop().await;
    world.is_as_the_log_says().await;
}
