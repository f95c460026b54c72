//! A cursor moves under the lease of its owner, and under no other.

use std::time::Duration;

use eventstore::{Cursor, CursorError, Position};
use testkit::eventually;

use crate::support::log;

#[tokio::test]
async fn one_owner_at_a_time_and_a_released_lease_is_free_at_once() {
    let (database, _store) = log().await;
    let pool = database.pool();
    let first = Cursor::lease(&pool, "follower").await.unwrap().expect("nobody else wants it");
    assert!(Cursor::lease(&pool, "follower").await.unwrap().is_none());
    let epoch = first.epoch();
    first.release(&pool).await.unwrap();
    let second = Cursor::lease(&pool, "follower").await.unwrap().expect("it was given up");
    assert!(second.epoch() > epoch);
}

#[tokio::test]
async fn a_late_owner_moves_nothing() {
    let (database, _store) = log().await;
    let pool = database.pool();
    let frozen = Cursor::lease(&pool, "follower").await.unwrap().unwrap();
    let successor = eventually(Duration::from_secs(20), "the lease to end", async || {
        Cursor::lease(&pool, "follower").await.unwrap().ok_or("still leased")
    })
    .await;
    let mut transaction = pool.begin().await.unwrap();
    let moved = frozen.advance(&mut transaction, Position::new(7)).await;
    assert!(matches!(moved, Err(CursorError::Fenced { .. })), "{moved:?}");
    drop(transaction);
    assert!(matches!(frozen.renew(&pool).await, Err(CursorError::Fenced { .. })));
    frozen.release(&pool).await.unwrap();
    successor.renew(&pool).await.expect("a late owner cannot give up what is not its own");
    assert_eq!(Cursor::peek(&pool, "follower").await.unwrap(), Some(Position::START));
}

#[tokio::test]
async fn a_move_commits_with_its_transaction_or_not_at_all() {
    let (database, _store) = log().await;
    let pool = database.pool();
    let mut cursor = Cursor::lease(&pool, "follower").await.unwrap().unwrap();
    let mut transaction = pool.begin().await.unwrap();
    cursor.advance(&mut transaction, Position::new(3)).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(Cursor::peek(&pool, "follower").await.unwrap(), Some(Position::START));

    let mut transaction = pool.begin().await.unwrap();
    cursor.advance(&mut transaction, Position::new(3)).await.unwrap();
    transaction.commit().await.unwrap();
    cursor.committed(Position::new(3));
    assert_eq!(Cursor::all(&pool).await.unwrap(), [("follower".to_owned(), Position::new(3))]);
}
