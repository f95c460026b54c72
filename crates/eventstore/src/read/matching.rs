//! Reading what a decision across streams is made on.

use sqlx::types::Json;

use super::Page;
use super::row::{Reader, select_events};
use crate::answer::within;
use crate::{EventStore, Position, Query};

/// Most events of one page.
const PAGE: i64 = 1_000;

impl EventStore {
    /// A page of the events after `after` that match `query`, in log order.
    ///
    /// When it [`reached`](Page::reached) the end of the log as it was, there was no more: an append
    /// on the [`Condition`](crate::Condition) that nothing matches after that position is then
    /// decided on all there is. Read on while the page holds events.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_matching(&self, query: &Query, after: Position) -> Result<Page, sqlx::Error> {
        let head = self.head().await?;
        let rows = select_events!(
            r"
        WHERE e.position IN (
            SELECT t.position
            FROM jsonb_to_recordset($1) AS item (types text[], tags text[])
            JOIN eventstore.tags AS t ON t.tag = item.tags[1] AND t.position > $2 AND t.position <= $3
            JOIN eventstore.events AS tagged ON tagged.position = t.position
            WHERE tagged.tags @> item.tags AND (item.types IS NULL OR tagged.type = ANY (item.types))
            UNION
            SELECT untagged.position
            FROM jsonb_to_recordset($1) AS item (types text[], tags text[])
            JOIN eventstore.events AS untagged ON untagged.position > $2 AND untagged.position <= $3
            WHERE cardinality(item.tags) = 0 AND (item.types IS NULL OR untagged.type = ANY (item.types))
        )
        ORDER BY e.position
        LIMIT $4
        ",
            Json(query.items()) as _,
            after.get(),
            head.get(),
            PAGE,
        );
        let rows = within(rows.fetch_all(self.pool())).await?;
        let events = Reader::of(self.log_id()).read_all(rows);
        let reached = match events.last() {
            Some(last) if i64::try_from(events.len()) == Ok(PAGE) => last.position,
            _ => head.max(after),
        };
        Ok(Page { events, reached })
    }
}
