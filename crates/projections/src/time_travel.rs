//! What a read model held at an earlier moment.
//!
//! Nothing is kept for this. A document is a pure function of the events of its key
//! ([`Document::evolve`]), so what it was is the same function of those that had been recorded then:
//! it cannot differ from what a query would have found once the read model had come that far.

use std::future::Future;
use std::pin::Pin;

use eventstore::read::StreamSlice;
use eventstore::{Moment, Position, RecordedEvent};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::Value;

use crate::document::{Document, evolve};
use crate::{Entry, HandlerError, Projection, Source};

/// [`document`] for tools that know the read model only by its name: it is given the key as text.
pub type AsOfJson = for<'a> fn(
    &'a Source,
    &'a Projection,
    &'a str,
    Moment,
) -> Pin<
    Box<dyn Future<Output = Result<Option<Value>, TimeTravelError>> + Send + 'a>,
>;

/// Why an earlier moment could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum TimeTravelError {
    /// The text is no key of this read model.
    #[error("{0:?} is no key of this read model")]
    NoKey(String),
    /// The log does not go that far.
    #[error("the log ends at position {end}, {asked} is not there yet")]
    NotReached {
        /// What was asked for.
        asked: Position,
        /// Where the log ends.
        end: Position,
    },
    /// An event cannot be read by this version.
    #[error("read the event at position {position}")]
    Undecodable {
        /// The event.
        position: Position,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The events make no document.
    #[error(transparent)]
    Unexpected(#[from] HandlerError),
    /// The document cannot be written as JSON.
    #[error("write as JSON")]
    Encode(#[from] serde_json::Error),
    /// The database did not answer.
    #[error("read the log")]
    Database(#[from] sqlx::Error),
}

/// The document `id` as it was at `moment`, if there was one then.
///
/// Its time is that of reading the events of its streams up to then; of memory it takes a page of each.
///
/// # Errors
/// See [`TimeTravelError`].
pub async fn document<D: Document>(
    source: &Source,
    projection: &Projection,
    id: D::Id,
    moment: Moment,
) -> Result<Option<D>, TimeTravelError> {
    let store = &source.store;
    let end = store.head().await?;
    let to = match moment {
        Moment::Position(asked) if asked > end => {
            return Err(TimeTravelError::NotReached { asked, end });
        }
        // One position for all its streams, so that no event is missing before another one.
        moment => store.position_at(moment).await?,
    };
    let slice = StreamSlice::as_of(Moment::Position(to));
    let streams = D::streams(id);
    // Each is in order by itself: of what comes next in each, the earliest comes next of all. So a
    // page of each stream is held and no more, however long they are.
    let mut reads = Vec::with_capacity(streams.len());
    for stream in &streams {
        let mut read = Box::pin(store.read_stream(stream, slice));
        let next = read.try_next().await?;
        reads.push((next, read));
    }
    let mut document = None;
    while let Some((next, read)) = reads
        .iter_mut()
        .filter(|(next, _)| next.is_some())
        .min_by_key(|(next, _)| next.as_ref().map(|event| event.position))
    {
        let recorded = std::mem::replace(next, read.try_next().await?);
        if let Some(recorded) = recorded.filter(|event| projection.reads(&event.event_type.name)) {
            document = take_in(source, document, &recorded)?;
        }
    }
    Ok(document)
}

/// The document after `recorded`.
fn take_in<D: Document>(
    source: &Source,
    before: Option<D>,
    recorded: &RecordedEvent,
) -> Result<Option<D>, TimeTravelError> {
    let read = (source.decode)(recorded)
        .map_err(|source| TimeTravelError::Undecodable { position: recorded.position, source })?;
    let entries = read.into_iter().map(|event| Entry { event, recorded });
    let mut document = before;
    for entry in entries {
        document = evolve(document, &entry)?;
    }
    Ok(document)
}

/// [`document`] as JSON.
pub(crate) fn json<'a, D: Document + Serialize>(
    source: &'a Source,
    projection: &'a Projection,
    key: &'a str,
    moment: Moment,
) -> Pin<Box<dyn Future<Output = Result<Option<Value>, TimeTravelError>> + Send + 'a>> {
    Box::pin(async move {
        let id = D::parse(key).ok_or_else(|| TimeTravelError::NoKey(key.to_owned()))?;
        let document = document::<D>(source, projection, id, moment).await?;
        Ok(document.map(serde_json::to_value).transpose()?)
    })
}
