//! Reading what the public may be told, in one order for ever: from the outbox or, where that was
//! retired, from the log.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::RecordedEvent;
use super::row::{EventRow, Reader, select_events};
use crate::answer::within;
use crate::append::Metadata;
use crate::{CommandId, EventStore, Position, StreamId};

/// Something that the public may be told.
#[derive(Debug, Clone)]
pub enum Outbound {
    /// An event.
    Event {
        /// On which subject it is told, as the outbox says; `None` where it tells nothing any more,
        /// so that only the contract knows whether the public is told at all.
        subject: Option<String>,
        /// The event.
        event: RecordedEvent,
    },
    /// A message that is no event.
    Message(OutboundMessage),
}

/// A message that is no event, with what it has of its append.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    /// Behind which event it is told, and in which order.
    pub place: OutboxPlace,
    /// Its id.
    pub id: Uuid,
    /// The stream that it is about.
    pub stream: StreamId,
    /// On which subject it is told.
    pub subject: String,
    /// JSON text, byte for byte as it was appended.
    pub body: String,
    /// When it was appended.
    pub recorded_at: DateTime<Utc>,
    /// The command it follows from.
    pub command_id: CommandId,
    /// Who asked, and why.
    pub metadata: Metadata,
}

impl Outbound {
    /// Where it stands.
    #[must_use]
    pub const fn place(&self) -> OutboxPlace {
        match self {
            Self::Event { event, .. } => OutboxPlace::within(event.position, 0),
            Self::Message(message) => message.place,
        }
    }
}

/// A place among all that the public may be told: the event at a position has ordinal 0, and the
/// messages behind it 1, 2, 3 …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxPlace {
    position: Position,
    ordinal: u16,
}

impl OutboxPlace {
    /// Behind everything at `position`.
    #[must_use]
    pub const fn after(position: Position) -> Self {
        Self { position, ordinal: u16::MAX }
    }

    /// At what stands at `position` with `ordinal`; more may follow at the same position.
    #[must_use]
    pub const fn within(position: Position, ordinal: u16) -> Self {
        Self { position, ordinal }
    }

    /// The position.
    #[must_use]
    pub const fn position(self) -> Position {
        self.position
    }

    /// The place at the position; 0 is the event.
    #[must_use]
    pub const fn ordinal(self) -> u16 {
        self.ordinal
    }

    /// Whether it is behind everything at its position.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        self.ordinal == u16::MAX
    }

    /// The last position of which nothing comes after this place.
    #[must_use]
    pub const fn completed(self) -> Position {
        if self.is_complete() { self.position } else { Position::new(self.position.get() - 1) }
    }
}

/// Some of what the public may be told, in order.
#[derive(Debug, Clone)]
pub struct OutboundPage {
    /// What there is.
    pub items: Vec<Outbound>,
    /// Nothing else is up to here: where the next page begins. Where this one began if there is
    /// nothing more yet.
    pub reached: OutboxPlace,
}

/// Most of one page.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// Events.
    pub events: u16,
    /// Bytes of payloads and bodies; the last ones may exceed it.
    pub bytes: usize,
}

/// Rows of the outbox with their events.
pub(super) struct OutboxRows {
    pub(super) rows: Vec<(Option<String>, RecordedEvent)>,
    /// The floor that they were read over.
    floor: Position,
    /// The first position behind the place asked for that has messages.
    messages_from: Option<Position>,
}

impl EventStore {
    /// What the public may be told next after `after`: of the outbox, as far as that reaches back,
    /// and otherwise all events of the log, of which the contract must say what is public.
    ///
    /// Messages that are no events are not told again once the outbox was retired behind them.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_outbound(
        &self,
        after: OutboxPlace,
        limit: PageLimit,
    ) -> Result<OutboundPage, sqlx::Error> {
        if !after.is_complete() {
            let items = self.rest_of(after).await?;
            if !items.is_empty() {
                return Ok(OutboundPage { items, reached: OutboxPlace::after(after.position) });
            }
        }
        let after = after.position;
        loop {
            let OutboxRows { rows, floor, messages_from } = self.outbox_rows(after, limit).await?;
            if after < floor {
                return self.log_page(after, floor, limit).await;
            }
            let mut end = rows.last().map_or(after, |(_, event)| event.position);
            let mut messages = VecDeque::new();
            if let Some(from) = messages_from.filter(|from| *from <= end) {
                (messages, end) = self.messages(from, end, limit.bytes).await?;
                if messages.front().is_none_or(|first| first.position != from.get()) {
                    continue; // They were retired meanwhile: the floor is higher now.
                }
            }
            let mut items = Vec::with_capacity(rows.len() + messages.len());
            for (subject, event) in rows.into_iter().filter(|(_, event)| event.position <= end) {
                let of_event = |message: &mut MessageRow| message.position == event.position.get();
                let mut behind = Vec::new();
                while let Some(message) = messages.pop_front_if(of_event) {
                    behind.push(Outbound::Message(message.read(&event)));
                }
                if subject.is_some() {
                    items.push(Outbound::Event { subject, event });
                }
                items.append(&mut behind);
            }
            return Ok(OutboundPage { items, reached: OutboxPlace::after(end) });
        }
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

    /// A page of the outbox. Rows come one by one: how large they are is known when they are there.
    pub(super) async fn outbox_rows(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<OutboxRows, sqlx::Error> {
        // The floor is read in the same statement, which holds off whoever would raise it. That the
        // events are behind $1, too, does not follow for the planner: it would merge from the first.
        let mut found = sqlx::query_as!(
            OutboxRow,
            r#"
            SELECT (SELECT l.outbox_floor FROM eventstore.log AS l) AS "floor!",
                   (SELECT min(m.position) FROM eventstore.messages AS m WHERE m.position > $1) AS messages_from,
                   o.subject,
                   e.position, e.recorded_at, e.command_id, e.correlation_id, e.causation_id,
                   e.version, e.schema_version, e.type AS event_type, e.stream, e.actor, e.tenant, e.trace,
                   e.tags, e.payload::text AS "payload!"
            FROM eventstore.outbox AS o
            JOIN eventstore.events AS e ON e.position = o.position
            WHERE o.position > $1 AND e.position > $1
            ORDER BY o.position
            LIMIT $2
            "#,
            after.get(),
            i64::from(limit.events),
        )
        .fetch(self.pool());
        let (mut rows, mut bytes, mut seen) = (Vec::new(), 0, None);
        let mut reader = Reader::of(self.log_id());
        while bytes < limit.bytes
            && let Some(row) = within(found.try_next()).await?
        {
            seen = Some((Position::new(row.floor), row.messages_from.map(Position::new)));
            bytes += row.payload.len();
            rows.push(row.read(&mut reader));
        }
        drop(found);
        let (floor, messages_from) = match seen {
            Some(seen) => seen,
            // There is nothing in the outbox, or nothing any more.
            None => (self.outbox_floor().await?, None),
        };
        Ok(OutboxRows { rows, floor, messages_from })
    }

    /// The messages from `from` to `to`, or to a position before it if they would exceed `bytes`.
    async fn messages(
        &self,
        from: Position,
        to: Position,
        bytes: usize,
    ) -> Result<(VecDeque<MessageRow>, Position), sqlx::Error> {
        let mut found = sqlx::query_as!(
            MessageRow,
            r#"
            SELECT position, ordinal, message_id, stream, subject, body::text AS "body!"
            FROM eventstore.messages
            WHERE position >= $1 AND position <= $2
            ORDER BY position, ordinal
            "#,
            from.get(),
            to.get(),
        )
        .fetch(self.pool());
        let (mut messages, mut sum, mut end) = (VecDeque::<MessageRow>::new(), 0, to);
        while let Some(row) = within(found.try_next()).await? {
            match messages.back() {
                Some(last) if sum >= bytes && last.position != row.position => {
                    end = Position::new(row.position - 1);
                    break;
                }
                _ => {}
            }
            sum += row.body.len();
            messages.push_back(row);
        }
        Ok((messages, end))
    }

    /// Whether messages follow `place` at its position, as far as the outbox knows.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn has_more_at(&self, place: OutboxPlace) -> Result<bool, sqlx::Error> {
        Ok(!self.rest_of(place).await?.is_empty())
    }

    /// Whether the message `id` stands at `place`; where the outbox was retired, nobody can say no.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn may_hold_message(
        &self,
        place: OutboxPlace,
        id: Uuid,
    ) -> Result<bool, sqlx::Error> {
        let (messages, _) = self.messages(place.position, place.position, usize::MAX).await?;
        let mut messages = messages.iter();
        let is_there = messages.any(|row| row.message_id == id && row.ordinal() == place.ordinal);
        Ok(is_there || place.position <= self.outbox_floor().await?)
    }

    /// The messages at the position of `after` that follow it.
    async fn rest_of(&self, after: OutboxPlace) -> Result<Vec<Outbound>, sqlx::Error> {
        let position = after.position;
        let (messages, _) = self.messages(position, position, usize::MAX).await?;
        let rest = messages.into_iter().filter(|message| message.ordinal() > after.ordinal);
        let rest: Vec<MessageRow> = rest.collect();
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        let found = select_events!("WHERE e.position = $1", position.get());
        let event = Reader::of(self.log_id()).read(within(found.fetch_one(self.pool())).await?);
        Ok(rest.into_iter().map(|message| Outbound::Message(message.read(&event))).collect())
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
            items.push(Outbound::Event { subject: None, event });
        }
        Ok(OutboundPage { items, reached: OutboxPlace::after(reached) })
    }
}

/// A message, without what it has of its event.
struct MessageRow {
    position: i64,
    ordinal: i16,
    message_id: Uuid,
    stream: String,
    subject: String,
    body: String,
}

impl MessageRow {
    fn ordinal(&self) -> u16 {
        u16::try_from(self.ordinal).unwrap_or_default()
    }

    fn read(self, event: &RecordedEvent) -> OutboundMessage {
        OutboundMessage {
            place: OutboxPlace::within(event.position, self.ordinal()),
            id: self.message_id,
            stream: StreamId::recorded(self.stream.into()),
            subject: self.subject,
            body: self.body,
            recorded_at: event.recorded_at,
            command_id: event.command_id,
            metadata: event.metadata.clone(),
        }
    }
}

/// A row of the outbox with its event.
struct OutboxRow {
    floor: i64,
    messages_from: Option<i64>,
    subject: Option<String>,
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
    tenant: Option<Uuid>,
    trace: Option<String>,
    tags: Option<Vec<String>>,
    payload: String,
}

impl OutboxRow {
    fn read(self, reader: &mut Reader) -> (Option<String>, RecordedEvent) {
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
            tenant: self.tenant,
            trace: self.trace,
            tags: self.tags,
            payload: self.payload,
        });
        (self.subject, event)
    }
}
