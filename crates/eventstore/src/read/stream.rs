//! Reading one stream, or some together.

use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt, stream};
use sqlx::PgConnection;

use super::RecordedEvent;
use super::row::{Reader, select_events};
use crate::answer::within;
use crate::{EventStore, Position, StreamId, StreamVersion};

/// Events of one page of [`EventStore::read_stream`].
const PAGE: i64 = 1_000;

/// A moment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When the log ended here.
    Position(Position),
    /// When everything recorded up to this time had been appended.
    Time(DateTime<Utc>),
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// The oldest first.
    #[default]
    Forward,
    /// The newest first.
    Backward,
}

/// Which part of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSlice {
    /// The lowest version wanted.
    pub from: StreamVersion,
    /// The highest version wanted.
    pub to: StreamVersion,
    /// Nothing at or before this position: who knows where the stream was spares the database a look
    /// into what is older.
    pub after: Position,
    /// Nothing that came later than this.
    pub as_of: Option<Moment>,
    /// In which order.
    pub direction: Direction,
}

impl StreamSlice {
    /// All of it, the oldest first.
    pub const ALL: Self = Self {
        from: StreamVersion::START,
        to: StreamVersion::MAX,
        after: Position::START,
        as_of: None,
        direction: Direction::Forward,
    };

    /// What comes after `version`, the oldest first.
    #[must_use]
    pub const fn after(version: StreamVersion) -> Self {
        Self { from: StreamVersion::new(version.get().saturating_add(1)), ..Self::ALL }
    }

    /// All of it up to `moment`, the oldest first.
    #[must_use]
    pub const fn as_of(moment: Moment) -> Self {
        Self { as_of: Some(moment), ..Self::ALL }
    }

    /// All of it, the newest first.
    #[must_use]
    pub const fn backward() -> Self {
        Self { direction: Direction::Backward, ..Self::ALL }
    }
}

impl EventStore {
    /// The events of `slice` of the stream `id`; none if there is no such stream.
    ///
    /// Reads a page at a time, so memory is bounded however long the stream is.
    ///
    /// # Errors
    /// The database cannot be reached; what came before is good.
    pub fn read_stream(
        &self,
        id: &StreamId,
        slice: StreamSlice,
    ) -> impl Stream<Item = Result<RecordedEvent, sqlx::Error>> + Send + Unpin + 'static {
        let (store, id) = (self.clone(), id.clone());
        let pages = stream::try_unfold(Some((slice, None)), move |state| {
            let (store, id) = (store.clone(), id.clone());
            async move {
                let Some((slice, end)) = state else { return Ok::<_, sqlx::Error>(None) };
                let end = match (end, slice.as_of) {
                    (Some(end), _) => end,
                    (None, None) => Position::MAX,
                    (None, Some(moment)) => store.position_at(moment).await?,
                };
                let page = within(async {
                    let mut connection = store.pool().acquire().await?;
                    store.read_stream_page(&mut connection, &id, slice, end).await
                });
                let page = page.await?;
                let next = page.rest.map(|slice| (slice, Some(end)));
                let events = page.events.into_iter().map(Ok::<_, sqlx::Error>);
                Ok(Some((stream::iter(events), next)))
            }
        });
        Box::pin(pages.try_flatten())
    }

    /// The position of the last event up to `moment`, [`Position::START`] if there is none.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn position_at(&self, moment: Moment) -> Result<Position, sqlx::Error> {
        let time = match moment {
            Moment::Position(position) => return Ok(position),
            Moment::Time(time) => time,
        };
        let found =
            sqlx::query_scalar!(r#"SELECT eventstore.position_at($1) AS "position!""#, time);
        Ok(Position::new(within(found.fetch_one(self.pool())).await?))
    }

    /// The first page of `slice` of the stream `id`, as far as `end`, whatever moment `slice` says.
    pub(crate) async fn read_stream_page(
        &self,
        connection: &mut PgConnection,
        id: &StreamId,
        slice: StreamSlice,
        end: Position,
    ) -> Result<StreamPage, sqlx::Error> {
        let (from, to, after) = (slice.from.get(), slice.to.get(), slice.after.get());
        let rows = match slice.direction {
            Direction::Forward => {
                let rows = select_events!(
                    r"
        WHERE e.stream = $1 AND e.version BETWEEN $2 AND $3 AND e.position > $4 AND e.position <= $5
        ORDER BY e.version
        LIMIT $6
        ",
                    id.as_str(),
                    from,
                    to,
                    after,
                    end.get(),
                    PAGE,
                );
                rows.fetch_all(connection).await?
            }
            Direction::Backward => {
                let rows = select_events!(
                    r"
        WHERE e.stream = $1 AND e.version BETWEEN $2 AND $3 AND e.position > $4 AND e.position <= $5
        ORDER BY e.version DESC
        LIMIT $6
        ",
                    id.as_str(),
                    from,
                    to,
                    after,
                    end.get(),
                    PAGE,
                );
                rows.fetch_all(connection).await?
            }
        };
        let events = Reader::of(self.log_id()).read_all(rows);
        Ok(StreamPage { rest: rest(slice, &events), events })
    }
}

/// A part of a stream.
pub(crate) struct StreamPage {
    pub(crate) events: Vec<RecordedEvent>,
    /// What may come after it.
    pub(crate) rest: Option<StreamSlice>,
}

/// What is left of `slice` after a page; nothing if it was the last.
fn rest(slice: StreamSlice, page: &[RecordedEvent]) -> Option<StreamSlice> {
    let last = page.last().filter(|_| i64::try_from(page.len()) == Ok(PAGE))?.version.get();
    Some(match slice.direction {
        Direction::Forward => StreamSlice { from: StreamVersion::new(last + 1), ..slice },
        Direction::Backward => StreamSlice { to: StreamVersion::new(last - 1), ..slice },
    })
}
