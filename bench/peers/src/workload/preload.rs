//! Fills a peer before a measurement, through its own API.

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::peer::{NewStream, Peer};
use crate::scratch::Scratch;

/// How many streams go to the peer in one call: some hundred events.
const BATCH: usize = 25;
const BATCHES_AT_A_TIME: usize = 8;

/// Stores `events` events in streams of `length` (the last may be shorter), and answers the ids
/// of the streams.
pub(super) async fn run<P: Peer>(
    peer: &P,
    scratch: &Scratch,
    events: u64,
    length: u64,
) -> Result<Vec<Uuid>> {
    store(P::new_id, scratch, events, length, async |batch| peer.preload(batch).await).await
}

/// The same for whoever knows how to store a batch of streams.
pub(super) async fn store(
    new_id: fn() -> Uuid,
    scratch: &Scratch,
    events: u64,
    length: u64,
    preload: impl AsyncFn(&[NewStream]) -> Result<()>,
) -> Result<Vec<Uuid>> {
    let streams: Vec<NewStream> = split(new_id, events, length).collect();
    tracing::info!("preloading {events} events in {} streams", streams.len());
    stream::iter(streams.chunks(BATCH))
        .map(|batch| preload(batch))
        .buffer_unordered(BATCHES_AT_A_TIME)
        .try_collect::<()>()
        .await?;
    scratch.settle().await?;
    Ok(streams.into_iter().map(|stream| stream.id).collect())
}

fn split(new_id: fn() -> Uuid, events: u64, length: u64) -> impl Iterator<Item = NewStream> {
    (0..events.div_ceil(length)).map(move |index| {
        let first = index * length;
        NewStream { id: new_id(), numbers: first..events.min(first + length) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_events_are_in_streams_of_the_length_that_is_asked() {
        let numbers: Vec<_> = split(Uuid::now_v7, 45, 20).map(|stream| stream.numbers).collect();
        assert_eq!(numbers, [0..20, 20..40, 40..45]);
    }
}
