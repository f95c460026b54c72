//! Law 3, through the bus: the same command again gives the same receipt and no second effect.

use std::sync::Arc;

use application::{Command, CommandError, Origin, Refusal};
use domain::catalog::ListProduct;
use domain::ids::ProductId;
use domain::{Aggregates, Decision, Event, Rejection, Stream};
use eventstore::{AppendError, CommandId, Fingerprint, Metadata, Receipt, aggregate};
use tokio::task::JoinSet;

use crate::support::{World, id, order, origin, product, with_key};

#[tokio::test]
async fn the_same_key_again_gives_the_same_answer() {
    let world = World::new().await;
    let first = world.bus.list_product(&with_key("k"), product("Mug-1", 3)).await.unwrap();
    // Its SKU is taken by now, by itself.
    let again = world.bus.list_product(&with_key("k"), product("Mug-1", 3)).await.unwrap();
    assert_eq!(again, (first.0, Receipt { repeated: true, ..first.1 }));

    let request = order(&[(first.0, 2)]);
    let first = world.bus.place_order(&with_key("l"), request.clone()).await.unwrap();
    let again = world.bus.place_order(&with_key("l"), request).await.unwrap();
    assert_eq!(again, (first.0, Receipt { repeated: true, ..first.1 }));
    assert_eq!(world.log().await.len(), 3);
}

#[tokio::test]
async fn the_same_key_for_something_else_is_refused() {
    let world = World::new().await;
    let mug = world.bus.list_product(&with_key("k"), product("Mug-1", 3)).await.unwrap().0;
    let before = world.log().await.len();
    let other_body = world.bus.list_product(&with_key("k"), product("Mug-1", 4)).await.err();
    let other_operation = world.bus.place_order(&with_key("k"), order(&[(mug, 1)])).await.err();
    // What would be rejected anyway: the key is what is wrong first of all.
    let unknown = order(&[(ProductId::new(id()), 1)]);
    let rejected = world.bus.place_order(&with_key("k"), unknown).await.err();
    for error in [other_body, other_operation, rejected] {
        let error = error.unwrap();
        assert!(matches!(error, CommandError::Append(AppendError::OtherBody { .. })), "{error:?}");
    }
    assert_eq!(world.log().await.len(), before);
}

#[tokio::test]
async fn the_same_key_of_somebody_else_is_another_command() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 3).await;
    let other = Origin { actor: "somebody else".to_owned(), ..with_key("k") };
    let first = world.bus.place_order(&with_key("k"), order(&[(mug, 1)])).await.unwrap();
    let second = world.bus.place_order(&other, order(&[(mug, 1)])).await.unwrap();
    assert_ne!(first.0, second.0);
    assert!(!second.1.repeated);
}

#[tokio::test]
async fn without_a_key_each_time_is_another_command() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 3).await;
    let first = world.bus.place_order(&origin(), order(&[(mug, 1)])).await.unwrap();
    let second = world.bus.place_order(&origin(), order(&[(mug, 1)])).await.unwrap();
    assert_ne!(first.0, second.0);
}

#[tokio::test]
async fn the_same_key_many_times_at_once_has_one_effect() {
    let world = Arc::new(World::new().await);
    let mut attempts = JoinSet::new();
    for _ in 0..16 {
        let world = Arc::clone(&world);
        attempts.spawn(async move {
            world.bus.list_product(&with_key("k"), product("Mug-1", 3)).await.unwrap()
        });
    }
    let outcomes = attempts.join_all().await;
    let id = outcomes[0].0;
    assert!(outcomes.iter().all(|(other, _)| *other == id));
    assert_eq!(outcomes.iter().filter(|(_, receipt)| !receipt.repeated).count(), 1);
    assert_eq!(world.log().await.len(), 2);
}

#[tokio::test]
async fn what_was_refused_may_be_asked_again_under_the_same_key() {
    let world = World::new().await;
    let first = world.list("Mug-1", 3).await;
    let refused = world.bus.list_product(&with_key("k"), product("Mug-1", 3)).await;
    assert!(refused.is_err());
    let (second, receipt) =
        world.bus.list_product(&with_key("k"), product("Mug-2", 3)).await.unwrap();
    assert_ne!(first, second);
    assert!(!receipt.repeated);
}

/// Lists the product `id`: decided again, that is rejected.
fn list(command: CommandId, id: ProductId, asked: &str) -> Command {
    let application::catalog::ListProduct { sku, name, price, .. } = product("Mug-1", 0);
    let list = ListProduct { product_id: id, sku, name, price };
    Command {
        given: aggregate::Command {
            id: command,
            fingerprint: Fingerprint::of(asked.as_bytes()),
            metadata: Metadata {
                actor: "somebody".to_owned(),
                tenant: None,
                correlation_id: crate::support::id(),
                causation_id: None,
                trace: None,
            },
        },
        decisions: vec![Box::new(list)],
        expected: None,
    }
}

#[tokio::test]
async fn what_would_be_rejected_by_now_still_gives_its_receipt() {
    let world = World::new().await;
    let (command, product) = (CommandId::new(id()), ProductId::new(id()));
    let first = world.bus.execute(&list(command, product, "this")).await.unwrap();
    let again = world.bus.execute(&list(command, product, "this")).await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first });

    let other = world.bus.execute(&list(command, product, "that")).await;
    assert!(matches!(other, Err(CommandError::Append(AppendError::OtherBody { .. }))), "{other:?}");
    let anew = world.bus.execute(&list(CommandId::new(id()), product, "this")).await;
    let Err(CommandError::Rejected(Refusal::Rejected(Rejection::Catalog(_)))) = anew else {
        panic!("{anew:?}")
    };
}

/// A command that finds what it asks for done already.
struct Nothing(Stream);

impl Decision for Nothing {
    fn streams(&self) -> Vec<Stream> {
        vec![self.0]
    }

    fn decide(&self, _: &Aggregates) -> Result<Vec<Event>, Rejection> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_command_without_effect_has_a_receipt_too() {
    let world = World::new().await;
    let listed = world.list("Mug-1", 1).await;
    let command = CommandId::new(id());
    let nothing = || Command {
        decisions: vec![Box::new(Nothing(domain::catalog::product(listed)))],
        ..list(command, listed, "nothing")
    };
    let first = world.bus.execute(&nothing()).await.unwrap();
    assert_eq!(
        (first.position.get(), first.streams.as_slice(), first.repeated),
        (2, &[][..], false)
    );
    let again = world.bus.execute(&nothing()).await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first });
    assert_eq!(world.log().await.len(), 2);
}
