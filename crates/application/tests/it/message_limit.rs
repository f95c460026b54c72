//! What the public could not be told does not enter the log.

use application::{CommandError, MessageLimit, MessageTooLarge};

use crate::support::{World, order, origin, product, with_key};

/// What the headers are given.
const HEADER_BYTES: usize = 4 * 1024;

#[tokio::test]
async fn an_event_whose_message_is_too_large_is_refused_with_all_of_its_append() {
    let world = World::new().await;
    let (mug, cup) = (world.list("Mug-1", 5).await, world.list("Cup-1", 5).await);
    let before = world.types().await;
    // One line fits, two do not.
    let bus = world.bus.clone();
    let bus = bus.with_message_limit(MessageLimit::of_message_bytes(HEADER_BYTES + 330));
    let first = with_key("first");
    bus.place_order(&first, order(&[(mug, 1)])).await.unwrap();
    let placed = world.types().await;
    assert_eq!(placed.len(), before.len() + 1);

    let refused = bus.place_order(&origin(), order(&[(mug, 1), (cup, 1)])).await.unwrap_err();
    let CommandError::Encode(source) = &refused else { panic!("{refused}") };
    let too_large = source.downcast_ref::<MessageTooLarge>().expect("too large");
    assert_eq!(too_large.event_type, "ordering.order-placed.v1");
    assert!(too_large.body_bytes > 330 && too_large.limit_bytes == 330, "{too_large}");
    assert_eq!(world.types().await, placed, "nothing was appended");

    // What took effect before answers as it did, whatever the limit is now.
    let none = world.bus.clone().with_message_limit(MessageLimit::of_message_bytes(0));
    none.list_product(&origin(), product("Jug-1", 1)).await.unwrap_err();
    assert!(none.place_order(&first, order(&[(mug, 1)])).await.is_ok());
}
