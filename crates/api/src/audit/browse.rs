//! `GET /v1/audit/events`: the log, the oldest first, through a filter.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use application::audit::{self, EventRecord, Range};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use eventstore::{EventStore, Filter, Position, Tag};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cursor::Cursors;
use crate::operation::{Operation, Parameter};
use crate::page::{Page, PageBody, refused};
use crate::parameters::Parameters;
use crate::principal::Permission;
use crate::problem::Problem;

const KNOWN: &[&str] = &[
    "limit",
    "cursor",
    "after",
    "to",
    "since",
    "until",
    "type",
    "category",
    "tag",
    "actor",
    "tenant",
    "correlation",
    "causation",
];

/// How long the log is looked through for one answer. A filter that passes little gives short pages
/// then, not late ones.
const LOOKING: Duration = Duration::from_secs(2);

pub(super) fn operation() -> Operation {
    let summary = "What happened, the oldest first, through a filter";
    let position = || json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let time = || json!({"type": "string", "format": "date-time"});
    let moment = json!("2026-01-01T00:00:00Z");
    let uuid = || json!({"type": "string", "format": "uuid"});
    let id = json!("01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a14");
    let several = |items: Value| json!({"type": "array", "items": items});
    let filter =
        |name, description, schema, example| Parameter::query(name, description, schema, example);
    Operation::query("listEvents", summary, Permission::Audit)
        .takes(filter("after", "Only events behind this position.", position(), json!(0)))
        .takes(filter("to", "Only events up to this position.", position(), json!(1000)))
        .takes(filter("since", "Only what was recorded then or later.", time(), moment.clone()))
        .takes(filter("until", "Only what was recorded before.", time(), moment))
        .takes(filter(
            "type",
            "Only events of one of these types, without version.",
            several(json!({"type": "string", "enum": known_types()})),
            json!(["ordering.order-placed"]),
        ))
        .takes(filter(
            "category",
            "Only events of streams of one of these categories.",
            several(json!({"type": "string", "enum": audit::categories()})),
            json!(["ordering.order"]),
        ))
        .takes(filter(
            "tag",
            "Only events that carry all of these tags.",
            several(
                json!({"type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f]{1,200}$"}),
            ),
            Value::Null,
        ))
        .takes(filter(
            "actor",
            "Only what this one asked for.",
            json!({"type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f]{1,255}$"}),
            json!("anonymous"),
        ))
        .takes(filter("tenant", "Only what belongs to this tenant.", uuid(), id.clone()))
        .takes(filter("correlation", "Only what follows from this request.", uuid(), id.clone()))
        .takes(filter("causation", "Only what follows from this message.", uuid(), id))
        .paged()
        .shows::<PageBody<EventRecord>>(
            "Some of the events. A page can be short although it is not the last.",
            json!({"items": [super::example()]}),
        )
}

pub(super) async fn browse(
    State(store): State<EventStore>,
    State(cursors): State<Cursors>,
    parameters: Parameters,
) -> Result<Json<PageBody<EventRecord>>, Problem> {
    let parameters = parameters.only(KNOWN)?;
    let page = Page::<i64>::of(&parameters, &cursors)?;
    let filter = filter(&parameters, &audit::event_types(&store).await?)?;
    let range = Range {
        after: parameters.one("after", position)?,
        to: parameters.one("to", position)?,
        since: parameters.one("since", time)?,
        until: parameters.one("until", time)?,
    };
    let head = store.head().await?;
    let (after, to) = range.positions(&store).await?;
    let end = to.min(head);
    let mut reached = page.after.map_or(after, |cursor| after.max(Position::new(cursor)));
    let mut items: Vec<EventRecord> = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < LOOKING {
        let wanted = usize::from(page.limit) - items.len();
        let wanted = u16::try_from(wanted).unwrap_or(page.limit);
        if wanted == 0 || reached >= end {
            break;
        }
        let read = store.read_page(&filter, reached, end, wanted).await?;
        for event in read.events {
            items.push(event.try_into()?);
        }
        reached = read.reached;
    }
    page.holds(items, (reached < end).then(|| reached.get())).map(Json)
}

/// The types of events of this version; the log may hold others.
fn known_types() -> BTreeSet<&'static str> {
    domain::Event::types().map(|known| known.name).collect()
}

fn filter(parameters: &Parameters, types: &BTreeSet<String>) -> Result<Filter, Problem> {
    let tags = parameters
        .all("tag")
        .map(|tag| Tag::new(tag).map_err(|error| refused("tag", error.to_string())));
    Ok(Filter {
        types: some_of(parameters, "type", types)?,
        categories: some_of(parameters, "category", &audit::categories())?,
        tags: tags.collect::<Result<_, _>>()?,
        actor: parameters.one("actor", |actor| {
            Some(actor.to_owned())
                .filter(|actor| {
                    (1..=255).contains(&actor.chars().count())
                        && !actor.chars().any(char::is_control)
                })
                .ok_or("must be 1 to 255 characters without control characters")
        })?,
        tenant: parameters.one("tenant", id)?,
        correlation_id: parameters.one("correlation", id)?,
        causation_id: parameters.one("causation", id)?,
    })
}

fn some_of(
    parameters: &Parameters,
    name: &str,
    known: &BTreeSet<String>,
) -> Result<Option<Vec<String>>, Problem> {
    let given: Vec<_> = parameters.all(name).map(str::to_owned).collect();
    if given.iter().any(|given| !known.contains(given)) {
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        return Err(refused(name, format!("must be one of `{}`", known.join("`, `"))));
    }
    Ok(Some(given).filter(|given| !given.is_empty()))
}

fn position(text: &str) -> Result<Position, &'static str> {
    let position = text.parse().ok().filter(|position| *position >= 0);
    position.map(Position::new).ok_or("must be a position of the log, 0 or more")
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.to_utc())
        .map_err(|_| "must be a time with its offset, such as `2026-01-01T00:00:00Z`")
}

fn id(text: &str) -> Result<Uuid, &'static str> {
    Uuid::try_parse(text).map_err(|_| "must be a UUID")
}
