//! Law 3: the same command id again gives the same receipt and has no second effect.

use eventstore::{AppendError, Fingerprint};

use crate::support::{all, append, exactly, log, to};

#[tokio::test]
async fn the_same_command_again_gives_the_same_receipt() {
    let (database, store) = log().await;
    let command = to("a", exactly(0), 2);
    let first = append(&store, command.clone()).await.unwrap();
    append(&store, to("a", exactly(2), 1)).await.unwrap();
    let mut again = append(&store, command.clone()).await.unwrap();
    assert!(!first.repeated && again.repeated);
    again.repeated = false;
    assert_eq!(again, first);

    let pool = database.pool();
    let mut transaction = pool.begin().await.unwrap();
    let inside = store.append_in(&mut transaction, &command).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(inside.repeated);
    assert_eq!(store.receipt(command.command_id).await.unwrap().unwrap().streams, first.streams);
    assert_eq!(all(&store).await.len(), 3);
}

#[tokio::test]
async fn the_same_id_with_another_body_is_refused() {
    let (_database, store) = log().await;
    let command = to("a", exactly(0), 1);
    append(&store, command.clone()).await.unwrap();
    let mut other = command.clone();
    other.fingerprint = Fingerprint::of(b"something else");
    assert!(matches!(append(&store, other.clone()).await, Err(AppendError::OtherBody { .. })));
    let looked_up = store.repeated(other.command_id, other.fingerprint).await;
    assert!(matches!(looked_up, Err(AppendError::OtherBody { .. })));
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn given_many_times_at_once_it_takes_effect_once() {
    let (_database, store) = log().await;
    let command = to("a", exactly(0), 1);
    let appends = (0..64).map(|_| append(&store, command.clone()));
    let receipts = futures_util::future::try_join_all(appends).await.unwrap();
    assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.position == receipts[0].position));
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_command_without_events_is_remembered_too() {
    let (_database, store) = log().await;
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    let command = to("a", exactly(1), 0);
    let first = append(&store, command.clone()).await.unwrap();
    assert_eq!((first.position.get(), first.streams.len()), (1, 0));
    append(&store, to("a", exactly(1), 1)).await.unwrap();
    let again = append(&store, command).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.position.get(), again.streams.len()), (1, 0));
}
