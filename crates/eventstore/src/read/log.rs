//! Reading the log, page by page.

use futures_util::{Stream, TryStreamExt, stream};
use sqlx::PgConnection;

use super::row::{Reader, select_events};
use super::{Filter, Page, RecordedEvent, page};
use crate::answer::within;
use crate::{EventId, EventStore, Position};

/// Events of one page of [`EventStore::read_log`].
const PAGE: u16 = 1_000;

impl EventStore {
    /// The events after `after` and up to `to` that pass `filter`, in log order.
    ///
    /// Reads a page at a time, so memory is bounded however long the log is. A `to` beyond the end
    /// of the log is the end as it is now.
    ///
    /// # Errors
    /// The database cannot be reached; what came before is good.
    pub fn read_log(
        &self,
        filter: Filter,
        after: Position,
        to: Position,
    ) -> impl Stream<Item = Result<RecordedEvent, sqlx::Error>> + Send + Unpin + 'static {
        let store = self.clone();
        let pages = stream::try_unfold((after, None), move |(after, end)| {
            let (store, filter) = (store.clone(), filter.clone());
            async move {
                let end = match end {
                    Some(end) => end,
                    None => store.head().await?.min(to),
                };
                if after >= end {
                    return Ok::<_, sqlx::Error>(None);
                }
                let page = store.read_page(&filter, after, end, PAGE).await?;
                let events = page.events.into_iter().map(Ok::<_, sqlx::Error>);
                Ok(Some((stream::iter(events), (page.reached, Some(end)))))
            }
        });
        Box::pin(pages.try_flatten())
    }

    /// One page of the events after `after` and up to `to` that pass `filter`: at most `limit`.
    ///
    /// It may hold fewer, or none, and yet not be the last: the next one begins where it
    /// [`reached`](Page::reached).
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_page(
        &self,
        filter: &Filter,
        after: Position,
        to: Position,
        limit: u16,
    ) -> Result<Page, sqlx::Error> {
        within(async {
            self.read_page_in(&mut *self.pool().acquire().await?, filter, after, to, limit).await
        })
        .await
    }

    /// [`EventStore::read_page`] on a connection of the caller.
    ///
    /// # Errors
    /// As [`EventStore::read_page`].
    pub async fn read_page_in(
        &self,
        connection: &mut PgConnection,
        filter: &Filter,
        after: Position,
        to: Position,
        limit: u16,
    ) -> Result<Page, sqlx::Error> {
        // Large, because each kind of filter is a query of its own.
        Box::pin(page::read(connection, self.log_id(), filter, (after, to), limit)).await
    }

    /// The events at `positions`, in log order, on a connection of the caller.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_at(
        &self,
        connection: &mut PgConnection,
        positions: &[Position],
    ) -> Result<Vec<RecordedEvent>, sqlx::Error> {
        let positions: Vec<_> = positions.iter().map(|position| position.get()).collect();
        let rows = select_events!("WHERE e.position = ANY ($1) ORDER BY e.position", &positions);
        Ok(Reader::of(self.log_id()).read_all(rows.fetch_all(connection).await?))
    }

    /// The event `id`, if this log holds it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn event(&self, id: EventId) -> Result<Option<RecordedEvent>, sqlx::Error> {
        let found = select_events!("WHERE e.position = $1", id.position().get());
        let row = within(found.fetch_optional(self.pool())).await?;
        let event = row.map(|row| Reader::of(self.log_id()).read(row));
        Ok(event.filter(|event| event.id == id))
    }
}
