//! `GET /v1/audit/streams/{stream}/events`: what had happened to one aggregate, the oldest first.

use application::audit::{EventRecord, reached};
use axum::Json;
use axum::extract::State;
use eventstore::{EventStore, StreamSlice, StreamVersion};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::cursor::Cursors;
use crate::operation::Operation;
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

pub(super) fn operation() -> Operation {
    let summary = "What had happened to one aggregate, the oldest first";
    Operation::query("listEventsOfStream", summary, Permission::Audit)
        .takes(super::stream_parameter())
        .takes(super::moment_parameter("as_of", "Only what had happened then."))
        .paged()
        .shows::<PageBody<EventRecord>>("Some of its events.", json!({"items": [super::example()]}))
        .refused_as(&[Code::NotFound, Code::NotReached])
}

pub(super) async fn history(
    State(store): State<EventStore>,
    State(cursors): State<Cursors>,
    Path(stream): Path<String>,
    parameters: Parameters,
) -> Result<Json<PageBody<EventRecord>>, Problem> {
    let parameters = parameters.only(&["as_of", "limit", "cursor"])?;
    let stream = super::stream_id(&stream)?;
    let as_of = parameters.one("as_of", str::parse)?;
    let page = Page::<i64>::of(&parameters, &cursors)?;
    let end = reached(&store, &stream, as_of).await?.version;
    let after = StreamVersion::new(page.after.unwrap_or_default());
    let slice = StreamSlice { to: end, ..StreamSlice::after(after) };
    let mut events = store.read_stream(&stream, slice);
    let mut items = Vec::new();
    let mut last = end;
    while items.len() < usize::from(page.limit)
        && let Some(event) = events.try_next().await?
    {
        last = event.version;
        items.push(event.try_into()?);
    }
    page.holds(items, (last < end).then(|| last.get())).map(Json)
}
