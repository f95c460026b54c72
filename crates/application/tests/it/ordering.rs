//! Placing orders.

use application::{CommandError, Refusal};
use domain::ids::ProductId;
use domain::ordering::{self, OrderingEvent};
use domain::{Event, Rejection};

use crate::support::{World, decoded, id, order, origin};

#[tokio::test]
async fn an_order_is_placed_at_the_prices_of_the_log() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 1).await;
    let plate = world.list("Plate-1", 1).await;
    let request = order(&[(plate, 2), (mug, 1)]);
    let (id, receipt) = world.bus.place_order(&origin(), request).await.unwrap();
    assert_eq!((receipt.position.get(), receipt.repeated), (5, false));
    let [(stream, version)] = receipt.streams.as_slice() else { panic!("{receipt:?}") };
    assert_eq!((stream.to_string(), version.get()), (format!("ordering.order-{id}"), 1));

    let log = world.log().await;
    let events = decoded(&log);
    let Some(Event::Ordering(OrderingEvent::OrderPlaced(placed))) = events.last() else {
        panic!("placed last: {events:?}")
    };
    assert_eq!(placed.order_id, id);
    assert_eq!(placed.total.amount(), 3 * 1250);
    let products: Vec<_> = placed.lines.iter().map(|line| line.product_id).collect();
    assert_eq!(products, [plate, mug], "in the order they were given");
    let subjects = world.subjects().await;
    assert_eq!(subjects.last().unwrap(), "ordering.order-placed.v1");
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 1).await;
    let before = world.types().await;
    let nothing = ProductId::new(id());
    let refused = world.bus.place_order(&origin(), order(&[(mug, 1), (nothing, 1)])).await;
    let expected = ordering::Rejection::UnknownProduct { line: 1, product_id: nothing };
    let Err(CommandError::Rejected(Refusal::Rejected(Rejection::Ordering(rejection)))) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(rejection, expected);
    assert_eq!(world.types().await, before);
}
