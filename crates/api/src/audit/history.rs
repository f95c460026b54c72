//! `GET /v1/audit/streams/{stream}/events`: what had happened to one aggregate, the oldest first.

use application::audit::{EventRecord, reached};
use axum::Json;
use axum::extract::State;
use eventstore::{EventStore, StreamSlice, StreamVersion};
use futures_util::TryStreamExt;

use crate::page::PageBody;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::Problem;

pub(super) async fn history(
    State(store): State<EventStore>,
    Path(stream): Path<String>,
    parameters: Parameters,
) -> Result<Json<PageBody<EventRecord>>, Problem> {
    let parameters = parameters.only(&["as_of", "limit", "cursor"])?;
    let stream = super::stream_id(&stream)?;
    let as_of = parameters.one("as_of", str::parse)?;
    let (limit, cursor) = parameters.page()?;
    let end = reached(&store, &stream, as_of).await?.version;
    let after = StreamVersion::new(cursor.unwrap_or_default());
    let slice = StreamSlice { to: end, ..StreamSlice::after(after) };
    let mut events = store.read_stream(&stream, slice);
    let mut items = Vec::new();
    let mut last = end;
    while items.len() < usize::from(limit)
        && let Some(event) = events.try_next().await?
    {
        last = event.version;
        items.push(event.try_into()?);
    }
    Ok(Json(PageBody::new(items, (last < end).then(|| last.get()))))
}
