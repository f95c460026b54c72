//! Whether the stream is what the log says: no gap, nothing twice, nothing out of order (law 5).
//!
//! The stream is read from its first message on, and what the public is told is walked beside it,
//! made by the function that publishes. Each message is compared by its place, its id and a digest
//! of subject, headers and body. Memory is bounded: a page of one side, a batch of the other, and
//! what was passed over ([`comparison`] says how much).
//!
//! Two things are no fault: what retention removed from the front of the stream, which is counted
//! apart, and a message that comes late and says so (`ce-late`), once and in the order of its
//! `ce-subject`. What nobody can prove any more is counted apart too: messages that are no events,
//! whose outbox is retired.
//!
//! An operator asks for all of it ([`verify`]); a relay looks continuously at what it has published
//! since it began ([`watch`]).

mod comparison;
mod difference;
mod digest;
mod reader;
pub mod watch;

use std::fmt;

use async_nats::jetstream::context::ContextBuilder;
use eventstore::{Cursor, OutboxPlace, Position};

use crate::Broker;
use crate::broker::{ANSWER, BrokerError, find_stream};
use crate::walk::{Told, WalkError};
use comparison::Comparison;
pub use difference::Difference;
use reader::{Reader, tail};

/// Which part is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// Only what comes after this position.
    pub after: Position,
    /// Only up to this position; by default as far as was published when it began.
    pub to: Option<Position>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Everything after this position was looked at …
    pub after: Position,
    /// … up to this one.
    pub to: Position,
    /// How much.
    pub counts: Counts,
    /// The first difference, if there is one; nothing behind it was looked at.
    pub difference: Option<Difference>,
}

/// How many messages were how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// As they should be, where they should be.
    pub right: u64,
    /// As they should be, and late.
    pub late: u64,
    /// Removed from the front of the stream, by its limits or by hand.
    pub removed: u64,
    /// In order, but nobody can say any more what they should be.
    pub unproven: u64,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What the public is told.
    #[error("look at what should be in the stream")]
    Walk(#[from] WalkError),
    /// The database.
    #[error("read the cursor of the relay")]
    Database(#[from] sqlx::Error),
}

/// Compares the stream at `broker` with what `told` says, up to the first difference.
///
/// # Errors
/// The broker or the database does not answer, or an event cannot be made a message.
pub async fn verify(
    broker: &Broker,
    told: Told,
    range: Range,
) -> Result<Verification, VerifyError> {
    let stream_name = told.namespace.stream_name();
    let connection = broker.open("annals-verify").await?;
    let context = ContextBuilder::new().timeout(ANSWER).build(connection.client.clone());
    // First the cursor: what it has passed is in the stream that is looked at afterwards.
    let cursor = Cursor::peek(told.store.pool(), &format!("relay:{stream_name}")).await?;
    let found = find_stream(&context, &stream_name).await?;
    let stream = found.ok_or(BrokerError::NoStream { name: stream_name })?;
    let state = stream.cached_info().state.clone();
    let published = tail(&stream, told.store.log_id()).await?.map(|(place, _)| place);
    let cursor = OutboxPlace::after(cursor.unwrap_or_default());
    let reached = published.map_or(cursor, |place| place.max(cursor));
    let to = range.to.map_or(reached, |to| reached.min(OutboxPlace::after(to)));

    let mut comparison = Comparison::new(told, OutboxPlace::after(range.after), to);
    let mut is_first = true;
    let mut reader = Reader::open(&stream, None, 1, state.last_sequence).await?;
    let mut difference = None;
    while difference.is_none() {
        let messages = reader.next().await?;
        // Limits may remove more while it reads.
        let begins_late = messages.first().is_none_or(|message| message.sequence > 1);
        if is_first && state.last_sequence > 0 && begins_late {
            comparison.front_is_removed();
        }
        is_first = false;
        if messages.is_empty() {
            break;
        }
        for message in messages {
            comparison.take(&message).await?;
        }
        difference = comparison.differences().next();
    }
    if difference.is_none() {
        comparison.finish().await?;
        difference = comparison.differences().next();
    }
    let to = to.completed().max(range.after);
    Ok(Verification { after: range.after, to, counts: comparison.counts, difference })
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, to, counts: Counts { right, late, removed, unproven }, difference } =
            self;
        match difference {
            None => {
                write!(f, "no gap, no duplicate, no reorder after position {after} up to {to}: ")?;
            }
            Some(difference) => write!(f, "{difference}; of what was looked at, ")?,
        }
        write!(f, "{right} messages in order")?;
        for (count, what) in [
            (late, "late, as they say"),
            (removed, "removed from the front of the stream, so not looked at"),
            (unproven, "in order, but no events, and the outbox does not hold them any more"),
        ] {
            if *count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
