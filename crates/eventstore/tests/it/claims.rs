//! A claimed value has one holder, however many reach for it at once.

use eventstore::{AppendError, Claim, EventStore};

use crate::support::{all, append, assert_gapless, exactly, log, stream, to};

async fn claim(store: &EventStore, name: &str, value: &str) -> Result<(), AppendError> {
    let mut command = to(name, exactly(0), 1);
    command.claims.push(Claim::new("test.name", value, stream(name)));
    append(store, command).await.map(|_| ())
}

#[tokio::test]
async fn of_many_that_reach_for_a_value_at_once_one_gets_it() {
    let (_database, store) = log().await;
    let names: Vec<_> = (0..32).map(|number| format!("stream-{number}")).collect();
    let claims = names.iter().map(|name| claim(&store, name, "the one"));
    let outcomes = futures_util::future::join_all(claims).await;
    let holders: Vec<_> = (0..32).filter(|number| outcomes[*number].is_ok()).collect();
    let [holder] = holders.as_slice() else { panic!("one holder: {holders:?}") };
    for outcome in outcomes.iter().filter(|outcome| outcome.is_err()) {
        match outcome {
            Err(AppendError::ClaimTaken { namespace, holder: by }) => {
                assert_eq!(namespace, "test.name");
                assert_eq!(by.as_str(), names[*holder]);
            }
            other => panic!("taken: {other:?}"),
        }
    }
    let events = all(&store).await;
    assert_eq!(events.len(), 1, "who got no claim wrote nothing");
    assert_gapless(&events);
}

#[tokio::test]
async fn the_same_value_in_another_namespace_is_another_claim() {
    let (_database, store) = log().await;
    claim(&store, "a", "x").await.unwrap();
    let mut command = to("b", exactly(0), 1);
    command.claims.push(Claim::new("test.other", "x", stream("b")));
    append(&store, command).await.unwrap();
    assert!(claim(&store, "c", "x").await.is_err());
}

fn value(value: &str, of: &str) -> Claim {
    Claim::new("test", value, stream(of))
}

#[tokio::test]
async fn a_value_given_up_can_be_taken_by_another() {
    let (_database, store) = log().await;
    let mut take = to("a", exactly(0), 1);
    take.claims.push(value("x", "a"));
    append(&store, take).await.unwrap();
    let mut change = to("a", exactly(1), 1);
    change.releases.push(value("x", "a"));
    change.claims.push(value("y", "a"));
    append(&store, change).await.unwrap();
    let mut other = to("b", exactly(0), 1);
    other.claims.push(value("x", "b"));
    append(&store, other).await.unwrap();
    let mut third = to("c", exactly(0), 1);
    third.claims.push(value("y", "c"));
    let refused = append(&store, third).await;
    assert!(
        matches!(refused, Err(AppendError::ClaimTaken { holder, .. }) if holder == stream("a"))
    );
}

#[tokio::test]
async fn a_value_moves_from_one_stream_to_another_in_one_append() {
    let (_database, store) = log().await;
    let mut take = to("a", exactly(0), 1);
    take.claims.push(value("x", "a"));
    append(&store, take).await.unwrap();
    let mut hand_over = to("a", exactly(1), 1);
    hand_over.expectations.push((stream("b"), exactly(0)));
    hand_over.releases.push(value("x", "a"));
    hand_over.claims.push(value("x", "b"));
    append(&store, hand_over).await.unwrap();
    let mut back = to("a", exactly(2), 1);
    back.claims.push(value("x", "a"));
    let refused = append(&store, back).await;
    assert!(
        matches!(refused, Err(AppendError::ClaimTaken { holder, .. }) if holder == stream("b"))
    );
}

#[tokio::test]
async fn nobody_gives_up_what_another_holds() {
    let (_database, store) = log().await;
    let mut take = to("a", exactly(0), 1);
    take.claims.push(value("x", "a"));
    append(&store, take).await.unwrap();
    let mut meddle = to("b", exactly(0), 1);
    meddle.releases.push(value("x", "b"));
    append(&store, meddle).await.unwrap();
    let mut other = to("c", exactly(0), 1);
    other.claims.push(value("x", "c"));
    let refused = append(&store, other).await;
    assert!(
        matches!(refused, Err(AppendError::ClaimTaken { holder, .. }) if holder == stream("a"))
    );
}

#[tokio::test]
async fn a_value_claimed_twice_in_one_append_is_the_callers_error() {
    let (_database, store) = log().await;
    let mut command = to("a", exactly(0), 1);
    command.claims = vec![Claim::new("test.name", "the one", stream("a")); 2];
    let refused = append(&store, command).await;
    assert!(matches!(refused, Err(AppendError::RepeatedClaim { .. })), "{refused:?}");
    assert!(all(&store).await.is_empty());
}
