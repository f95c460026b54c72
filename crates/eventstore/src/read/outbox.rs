//! Reading what the public is told.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::RecordedEvent;
use super::row::{EventRow, Reader, select_events};
use crate::answer::within;
use crate::{EventStore, Position};

/// An event that the public is told of.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// On which subject, without the installation's namespace.
    pub subject: String,
    /// The event.
    pub event: RecordedEvent,
}

/// An event that the public may be told of.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// On which subject, as the outbox says; `None` where it tells nothing any more, so that only
    /// the contract knows whether the public is told at all.
    pub subject: Option<String>,
    /// The event.
    pub event: RecordedEvent,
}

/// Some of what the public may be told, in order.
#[derive(Debug, Clone)]
pub struct OutboundPage {
    /// What there is.
    pub items: Vec<Outbound>,
    /// Nothing else is up to here: where the next page begins. Where this one began if there is
    /// nothing more yet.
    pub reached: Position,
}

/// Most of one page.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// Events.
    pub events: u16,
    /// Bytes of payloads; the last event may exceed it.
    pub bytes: usize,
}

impl EventStore {
    /// At most `limit` rows of the outbox after `after`, with their events, in log order. What was
    /// retired is not among them ([`EventStore::read_outbound`]).
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_outbox(
        &self,
        after: Position,
        limit: u16,
    ) -> Result<Vec<OutboxMessage>, sqlx::Error> {
        let page = self.outbox_page(after, PageLimit { events: limit, bytes: usize::MAX });
        Ok(page.await?.0)
    }

    /// What the public may be told next after `after`: of the outbox, as far as that reaches back,
    /// and otherwise all events of the log, of which the contract must say what is public.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_outbound(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<OutboundPage, sqlx::Error> {
        let (messages, floor) = self.outbox_page(after, limit).await?;
        if after < floor {
            return self.log_page(after, floor, limit).await;
        }
        let reached = messages.last().map_or(after, |message| message.event.position);
        let items = messages
            .into_iter()
            .map(|OutboxMessage { subject, event }| Outbound { subject: Some(subject), event });
        Ok(OutboundPage { items: items.collect(), reached })
    }

    /// Up to where the outbox is silent: what the public is told of these positions is made from
    /// the log.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn outbox_floor(&self) -> Result<Position, sqlx::Error> {
        let floor = sqlx::query_scalar!("SELECT outbox_floor FROM eventstore.log");
        Ok(Position::new(within(floor.fetch_one(self.pool())).await?))
    }

    /// A page of the outbox, and the floor that it was read over.
    ///
    /// Rows come one by one: how large they are is known when they are there.
    async fn outbox_page(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<(Vec<OutboxMessage>, Position), sqlx::Error> {
        // The floor is read in the same statement, which holds off whoever would raise it.
        let mut rows = sqlx::query_as!(
            OutboxRow,
            r#"
            SELECT (SELECT l.outbox_floor FROM eventstore.log AS l) AS "floor!", o.subject,
                   e.position, e.recorded_at, e.command_id, e.correlation_id, e.causation_id,
                   e.version, e.schema_version, e.type AS event_type, e.stream, e.actor, e.trace, e.tags,
                   e.payload::text AS "payload!"
            FROM eventstore.outbox AS o
            JOIN eventstore.events AS e ON e.position = o.position
            WHERE o.position > $1
            ORDER BY o.position
            LIMIT $2
            "#,
            after.get(),
            i64::from(limit.events),
        )
        .fetch(self.pool());
        let (mut messages, mut bytes, mut floor) = (Vec::new(), 0, None);
        let mut reader = Reader::of(self.log_id());
        while bytes < limit.bytes
            && let Some(row) = within(rows.try_next()).await?
        {
            floor = Some(Position::new(row.floor));
            let message = row.read(&mut reader);
            bytes += message.event.payload.len();
            messages.push(message);
        }
        drop(rows);
        let floor = match floor {
            Some(floor) => floor,
            // There is nothing in the outbox, or nothing any more.
            None => self.outbox_floor().await?,
        };
        Ok((messages, floor))
    }

    /// A page of all events after `after` and up to `to`.
    async fn log_page(
        &self,
        after: Position,
        to: Position,
        limit: PageLimit,
    ) -> Result<OutboundPage, sqlx::Error> {
        let mut rows = select_events!(
            "WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position LIMIT $3",
            after.get(),
            to.get(),
            i64::from(limit.events),
        )
        .fetch(self.pool());
        let (mut items, mut bytes, mut reached) = (Vec::new(), 0, after);
        let mut reader = Reader::of(self.log_id());
        while bytes < limit.bytes
            && let Some(row) = within(rows.try_next()).await?
        {
            let event = reader.read(row);
            (bytes, reached) = (bytes + event.payload.len(), event.position);
            items.push(Outbound { subject: None, event });
        }
        Ok(OutboundPage { items, reached })
    }
}

/// A row of the outbox with its event.
struct OutboxRow {
    floor: i64,
    subject: String,
    position: i64,
    recorded_at: DateTime<Utc>,
    command_id: Uuid,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
    version: i64,
    schema_version: i16,
    event_type: String,
    stream: String,
    actor: String,
    trace: Option<String>,
    tags: Option<Vec<String>>,
    payload: String,
}

impl OutboxRow {
    fn read(self, reader: &mut Reader) -> OutboxMessage {
        let event = reader.read(EventRow {
            position: self.position,
            recorded_at: self.recorded_at,
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            version: self.version,
            schema_version: self.schema_version,
            event_type: self.event_type,
            stream: self.stream,
            actor: self.actor,
            trace: self.trace,
            tags: self.tags,
            payload: self.payload,
        });
        OutboxMessage { subject: self.subject, event }
    }
}
