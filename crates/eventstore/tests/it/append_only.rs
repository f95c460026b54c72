//! Nobody rewrites history, not even by hand.

use crate::support::{all, append, exactly, log, to};

#[tokio::test]
async fn events_cannot_be_updated_deleted_or_truncated() {
    let (database, store) = log().await;
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    for statement in [
        "UPDATE eventstore.events SET actor = 'somebody else'",
        "DELETE FROM eventstore.events",
        "TRUNCATE eventstore.events",
    ] {
        let refused = sqlx::query(statement).execute(&database.pool()).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(all(&store).await.len(), 1);
}
