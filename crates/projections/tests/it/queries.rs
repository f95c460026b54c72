//! What can be asked of the read models.

use domain::ids::{OrderId, ProductId, UserId};
use projections::{orders, products, users};

use crate::history::History;
use crate::support::{World, id};

#[tokio::test]
async fn what_is_not_there_is_none() {
    let world = World::new().await;
    let pool = world.pool();
    assert!(
        orders::get(&pool, projections::Tenant::All, OrderId::new(id())).await.unwrap().is_none()
    );
    assert!(products::get(&pool, ProductId::new(id())).await.unwrap().is_none());
    let page =
        orders::list(&pool, orders::Listing::of(projections::Tenant::All), None, 10).await.unwrap();
    assert!(page.orders.is_empty() && page.next.is_none());
    let page = products::list(&pool, &products::Listing::default(), None, 10).await.unwrap();
    assert!(page.products.is_empty() && page.next.is_none());
    assert!(users::get(&pool, UserId::new(id())).await.unwrap().is_none());
    let page = users::list(&pool, &users::Listing::default(), None, 10).await.unwrap();
    assert!(page.users.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn products_come_page_by_page_in_the_order_they_were_listed() {
    let world = World::new().await;
    let workers = world.follow();
    let mut history = History::default();
    for stock in 0..5 {
        history.list(&world, stock).await;
    }
    world.all_catch_up().await;
    let pool = world.pool();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = products::list(&pool, &products::Listing::default(), after, 2).await.unwrap();
        seen.extend(page.products.iter().map(|product| (product.id, product.available)));
        if seen.len() == 2 {
            // Listed while somebody turns pages: it comes last.
            history.list(&world, 5).await;
            world.all_catch_up().await;
        }
        after = page.next;
        if after.is_none() {
            assert_eq!(page.products.len(), 2, "a full page can be the last one");
            break;
        }
    }
    let listed: Vec<_> = history.products.iter().copied().zip(0_i64..).collect();
    assert_eq!(seen, listed);
    workers.stop().await;
}

#[tokio::test]
async fn orders_come_page_by_page_the_newest_first() {
    let world = World::new().await;
    let workers = world.follow();
    let mut history = History::default();
    history.list(&world, 100).await;
    for quantity in 1..=5 {
        history.place(&world, &[(0, quantity)]).await;
    }
    world.all_catch_up().await;
    let pool = world.pool();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = orders::list(&pool, orders::Listing::of(projections::Tenant::All), after, 2)
            .await
            .unwrap();
        seen.extend(page.orders.iter().map(|order| order.id));
        // Placed and settled while somebody turns pages: nothing moves to another page.
        history.place(&world, &[(0, 1)]).await;
        history.tell_all(&world).await;
        world.all_catch_up().await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = history.orders[..5].to_vec();
    expected.reverse();
    assert_eq!(seen, expected);
    workers.stop().await;
}

#[tokio::test]
async fn an_order_tells_its_lines_and_why_it_was_rejected() {
    let world = World::new().await;
    let workers = world.follow();
    let mut history = History::default();
    let plenty = history.list(&world, 10).await;
    let scarce = history.list(&world, 1).await;
    let rejected = history.place(&world, &[(1, 3), (0, 2)]).await;
    let confirmed = history.place(&world, &[(0, 4)]).await;
    history.tell_all(&world).await;
    world.all_catch_up().await;

    let pool = world.pool();
    let order = orders::get(&pool, projections::Tenant::All, rejected).await.unwrap().unwrap();
    assert_eq!(order.status, orders::Status::Rejected);
    let lines: Vec<_> = order.lines.iter().map(|line| (line.product_id, line.quantity)).collect();
    assert_eq!(lines, [(scarce, 3), (plenty, 2)], "as they were given");
    assert_eq!((order.total, order.currency.as_str()), (500, "EUR"));
    let [shortage] = order.shortages.as_slice() else { panic!("one is short: {order:?}") };
    assert_eq!((shortage.product_id, shortage.requested, shortage.available), (scarce, 3, 1));

    let order = orders::get(&pool, projections::Tenant::All, confirmed).await.unwrap().unwrap();
    assert_eq!(order.status, orders::Status::Confirmed);
    assert!(order.shortages.is_empty());
    let available = products::get(&pool, plenty).await.unwrap().unwrap().available;
    assert_eq!(available, 6, "what was refused is still there");
    workers.stop().await;
}

/// What stands behind every query: a role that sees nothing of tenants unless the statement says of whom,
/// and writes nothing.
#[tokio::test]
async fn queries_see_of_tenants_what_they_say_and_write_nothing() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 9).await;
    history.place(&world, &[(0, 1)]).await;
    let worker = world.follow();
    world.all_catch_up().await;
    let mut asking = world.pool().acquire().await.unwrap();
    sqlx::query("SET ROLE annals_queries").execute(&mut *asking).await.unwrap();
    for (said, seen) in [(None, 0_i64), (Some("*"), 1), (Some("-"), 1), (Some("someone"), 0)] {
        let told = "SELECT set_config('annals.tenant', $1, false)";
        sqlx::query(told).bind(said.unwrap_or_default()).execute(&mut *asking).await.unwrap();
        for table in ["orders_v4.orders", "orders_v4.order_lines"] {
            let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            let count: i64 = sqlx::query_scalar(count).fetch_one(&mut *asking).await.unwrap();
            assert_eq!(count, seen, "{table} for {said:?}");
        }
    }
    for statement in [
        "DELETE FROM orders_v4.orders",
        "UPDATE products_v2.products SET price = 1",
        "DELETE FROM eventstore.events",
        "SELECT * FROM identity.passwords",
        "SELECT * FROM identity.signing_keys",
    ] {
        let refused = sqlx::query(statement).execute(&mut *asking).await;
        let error = refused.expect_err(statement).to_string();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
    asking.close().await.unwrap();
    worker.stop().await;
}
