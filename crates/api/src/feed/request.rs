//! What a connection asks for.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use domain::Stream;
use eventstore::{Position, StreamId};
use projections::time_travel::TimeTravelError;
use serde_json::{Value, json};

use super::filter::Filter;
use super::snapshot::Snapshot;
use crate::operation::{Answer, Content, Operation, Parameter, schema_of};
use crate::page::refused;
use crate::parameters::Parameters;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::queries::Queries;

pub(super) const KNOWN: &[&str] = &["after", "type", "subject", "snapshot"];

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Most subjects of one connection.
const MOST_SUBJECTS: usize = 100;

pub(super) fn operation() -> Operation {
    let position = || json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let types: Vec<_> = domain::Message::types().map(|known| known.to_string()).collect();
    let several = |items: Value| json!({"type": "array", "items": items});
    let text = json!({"type": "string"});
    let told = "id: 3\nevent: catalog.product-repriced.v1\ndata: {\"specversion\":\"1.0\", …}\n\n";
    let summary = "What the public is told, as it happens: server-sent events or a WebSocket";
    Operation::query("followEvents", summary, Permission::FollowEvents)
        .takes(Parameter::query(
            "after",
            "Begin behind this position of the log; at its end without it.",
            position(),
            json!(0),
        ))
        .takes(Parameter::query(
            "type",
            "Only messages of these types.",
            several(json!({"type": "string", "enum": types})),
            json!(["ordering.order-placed.v1"]),
        ))
        .takes(Parameter::query(
            "subject",
            "Only messages on these aggregates.",
            several(text.clone()),
            json!(["ordering.order-01943c5e-8f22-7d10-8a55-0c3b9d1e4f22"]),
        ))
        .takes(Parameter::query(
            "snapshot",
            "Begin with this document as it is, and go on with what changes it.",
            text.clone(),
            json!("orders/01943c5e-8f22-7d10-8a55-0c3b9d1e4f22"),
        ))
        .takes(Parameter::header(
            "Last-Event-ID",
            "Go on behind the message with this `id`.",
            position(),
            json!(3),
        ))
        .answers_with(Answer {
            status: StatusCode::OK,
            description: "Messages, each a CloudEvent in JSON, without end.",
            headers: Vec::new(),
            content: Some(Content {
                media_type: "text/event-stream",
                schema: schema_of::<String>,
                example: json!(told),
            }),
        })
        .refused_as(&[
            Code::InvalidHeader,
            Code::NotFound,
            Code::NotReached,
            Code::ForeignOrigin,
            Code::FeedFull,
        ])
}

/// What a connection asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// It was here before.
    resume: Option<Position>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) filter: Filter,
}

impl Asked {
    pub(super) fn read(headers: &HeaderMap, parameters: &Parameters) -> Result<Self, Problem> {
        let after = parameters.one("after", position)?;
        let snapshot: Option<Snapshot> = parameters.one("snapshot", str::parse)?;
        let subjects = subjects(parameters)?.or_else(|| snapshot.map(Snapshot::subjects));
        let filter = Filter::new(types(parameters)?, subjects);
        // A browser that connects again sends the address it was given, and where it was.
        Ok(Self { resume: last_event_id(headers)?.or(after), snapshot, filter })
    }

    /// Where it begins, and the document as it was there if it is not known to the client yet.
    pub(super) async fn begin(
        &self,
        queries: &Queries,
    ) -> Result<(Position, Option<String>), Problem> {
        let head = queries.source.store.head().await?;
        match (self.resume, self.snapshot) {
            (Some(asked), _) if asked > head => {
                Err(TimeTravelError::NotReached { asked, end: head }.into())
            }
            (Some(position), _) => Ok((position, None)),
            (None, None) => Ok((head, None)),
            (None, Some(snapshot)) => Ok((head, Some(snapshot.read(queries, head).await?))),
        }
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_only = values.next().is_none();
    let text = value.to_str().ok().filter(|_| is_only);
    match text.map(position) {
        Some(Ok(position)) => Ok(Some(position)),
        _ => Err(Problem::new(Code::InvalidHeader, "The feed cannot be resumed.")
            .field("Last-Event-ID", "must be the `id` of a message of the feed")),
    }
}

fn position(text: &str) -> Result<Position, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let position = text.parse().ok().filter(|_| digits);
    position.map(Position::new).ok_or("must be a position of the log, 0 or more")
}

fn types(parameters: &Parameters) -> Result<Option<Vec<String>>, Problem> {
    let given: BTreeSet<_> = parameters.all("type").map(str::to_owned).collect();
    let known: BTreeSet<_> = domain::Message::types().map(|known| known.to_string()).collect();
    if !given.is_subset(&known) {
        let known: Vec<_> = known.into_iter().collect();
        return Err(refused("type", format!("must be one of `{}`", known.join("`, `"))));
    }
    Ok(Some(given.into_iter().collect()).filter(|given: &Vec<_>| !given.is_empty()))
}

fn subjects(parameters: &Parameters) -> Result<Option<Vec<StreamId>>, Problem> {
    let mut subjects = Vec::new();
    for text in parameters.all("subject") {
        let subject =
            text.parse::<Stream>().ok().and_then(|stream| StreamId::new(stream.to_string()).ok());
        subjects.push(subject.ok_or_else(|| {
            refused(
                "subject",
                "must be the `subject` of a message, such as `ordering.order-` and a UUID",
            )
        })?);
        if subjects.len() > MOST_SUBJECTS {
            return Err(refused("subject", format!("is given more than {MOST_SUBJECTS} times")));
        }
    }
    Ok(Some(subjects).filter(|subjects| !subjects.is_empty()))
}
