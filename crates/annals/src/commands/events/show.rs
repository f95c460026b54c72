//! `annals events show`: one stream, now or at a moment, or one event.

use anyhow::bail;
use application::audit::{AsOf, reached};
use eventstore::{EventId, EventStore, StreamId, StreamSlice, StreamVersion};
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::answer;
use super::line::line;

pub(super) async fn stream(
    store: &EventStore,
    stream: &StreamId,
    as_of: Option<AsOf>,
    json: bool,
) -> anyhow::Result<()> {
    let reached = reached(store, stream, as_of).await?;
    if reached.version == StreamVersion::START && !json {
        return answer(&format!("nothing had happened to {stream} yet"));
    }
    let slice = StreamSlice { to: reached.version, ..StreamSlice::ALL };
    let mut events = store.read_stream(stream, slice);
    while let Some(event) = events.try_next().await? {
        answer(&line(event, json)?)?;
    }
    Ok(())
}

pub(super) async fn event(store: &EventStore, id: Uuid, json: bool) -> anyhow::Result<()> {
    match store.event(EventId::new(id)).await? {
        Some(event) => answer(&line(event, json)?),
        None => bail!("no event of this log has the id {id}"),
    }
}
