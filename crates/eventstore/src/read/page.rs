//! One page of the log.

use sqlx::PgConnection;

use super::row::{Reader, select_events};
use super::{Filter, RecordedEvent};
use crate::{EventStore, LogId, Position, Tag};

/// Most positions that one statement looks at when it may pass over some.
const WINDOW: i64 = 50_000;

/// Some events of the log, in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events that passed.
    pub events: Vec<RecordedEvent>,
    /// Up to here everything was looked at: where the next page begins.
    pub reached: Position,
}

/// Looks at the log after `after` and up to `to`.
pub(super) async fn read(
    connection: &mut PgConnection,
    log: LogId,
    filter: &Filter,
    (after, to): (Position, Position),
    limit: u16,
) -> Result<Page, sqlx::Error> {
    if filter.is_everything() {
        let rows = select_events!(
            "WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position LIMIT $3",
            after.get(),
            to.get(),
            i64::from(limit),
        );
        let events = Reader::of(log).read_all(rows.fetch_all(connection).await?);
        let reached = events.last().map_or(after, |event| event.position);
        return Ok(Page { events, reached });
    }
    // Where nothing is there is nothing to have looked at.
    let to = to.min(EventStore::head_in(&mut *connection).await?);
    let categories = filter.categories.as_deref();
    let types = filter.types.as_deref();
    let actor = filter.actor.as_deref();
    let tags: Vec<&str> = filter.tags.iter().map(Tag::as_str).collect();
    let (rows, to) = if let Some(tag) = tags.first() {
        let rows = select_events!(
            r"
        JOIN eventstore.tags AS t ON t.position = e.position
        WHERE t.tag = $10 AND t.position > $1 AND t.position <= $2
          AND e.tags @> $11
          AND ($4::text[] IS NULL OR split_part(e.stream, '-', 1) = ANY ($4))
          AND ($5::text[] IS NULL OR e.type = ANY ($5))
          AND ($6::text IS NULL OR e.actor = $6)
          AND ($7::uuid IS NULL OR e.tenant = $7)
          AND ($8::uuid IS NULL OR e.correlation_id = $8)
          AND ($9::uuid IS NULL OR e.causation_id = $9)
        ORDER BY t.position
        LIMIT $3
        ",
            after.get(),
            to.get(),
            i64::from(limit),
            categories as _,
            types as _,
            actor,
            filter.tenant,
            filter.correlation_id,
            filter.causation_id,
            *tag,
            &tags as _,
        );
        (rows.fetch_all(connection).await?, to)
    } else {
        let to = to.min(Position::new(after.get().saturating_add(WINDOW)));
        let rows = select_events!(
            r"
        WHERE e.position > $1 AND e.position <= $2
          AND ($4::text[] IS NULL OR split_part(e.stream, '-', 1) = ANY ($4))
          AND ($5::text[] IS NULL OR e.type = ANY ($5))
          AND ($6::text IS NULL OR e.actor = $6)
          AND ($7::uuid IS NULL OR e.tenant = $7)
          AND ($8::uuid IS NULL OR e.correlation_id = $8)
          AND ($9::uuid IS NULL OR e.causation_id = $9)
        ORDER BY e.position
        LIMIT $3
        ",
            after.get(),
            to.get(),
            i64::from(limit),
            categories as _,
            types as _,
            actor,
            filter.tenant,
            filter.correlation_id,
            filter.causation_id,
        );
        (rows.fetch_all(connection).await?, to)
    };
    let events = Reader::of(log).read_all(rows);
    let reached = match events.last() {
        Some(last) if events.len() == usize::from(limit) => last.position,
        _ => to.max(after),
    };
    Ok(Page { events, reached })
}
