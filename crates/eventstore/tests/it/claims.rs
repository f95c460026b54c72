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
