//! The one statement: a batch of appends as arrays, and the outcomes read back.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Append, AppendError, ExpectedVersion, NewMessage, Receipt};
use crate::{EventType, Position, StreamId, StreamVersion, Subject, Tag};

/// Between the tags of an event; no tag has a control character.
const TAG_SEPARATOR: &str = "\u{1f}";

/// One array per parameter of `eventstore.append`.
#[derive(Default)]
struct Parameters<'a> {
    command_ids: Vec<Uuid>,
    fingerprints: Vec<&'a [u8]>,
    command_events: Vec<i32>,
    command_last: Vec<i32>,
    expected_command: Vec<i32>,
    expected_stream: Vec<&'a str>,
    expected_version: Vec<i64>,
    conditions: Vec<ConditionItem<'a>>,
    claim_command: Vec<i32>,
    claim_namespace: Vec<&'a str>,
    claim_value: Vec<&'a str>,
    claim_stream: Vec<&'a str>,
    claim_release: Vec<bool>,
    claim_subject: Vec<Option<&'a str>>,
    type_name: Vec<&'a str>,
    type_schema: Vec<i16>,
    event_command: Vec<i32>,
    event_offset: Vec<i32>,
    event_expectation: Vec<i32>,
    event_version: Vec<i32>,
    event_command_id: Vec<Uuid>,
    event_correlation_id: Vec<Uuid>,
    event_causation_id: Vec<Option<Uuid>>,
    event_actor: Vec<&'a str>,
    /// Empty if no event has one, which is then not said of each.
    event_tenant: Vec<Option<Uuid>>,
    event_trace: Vec<Option<&'a str>>,
    event_stream: Vec<&'a str>,
    event_type: Vec<&'a str>,
    event_schema: Vec<i16>,
    event_tags: Vec<Option<String>>,
    event_subject: Vec<Option<&'a str>>,
    event_payload: Vec<&'a str>,
    messages: Vec<MessageItem<'a>>,
}

#[derive(Serialize)]
struct MessageItem<'a> {
    command: i32,
    ordinal: i32,
    id: Uuid,
    stream: &'a str,
    subject: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct ConditionItem<'a> {
    command: i32,
    after: i64,
    types: Option<&'a [String]>,
    tags: &'a [Tag],
}

impl<'a> Parameters<'a> {
    /// Types that are not among `known`.
    fn push_types(&mut self, known: &HashSet<EventType>, batch: &[&'a Append]) {
        let events = batch.iter().flat_map(|append| &append.events);
        let types: HashSet<&EventType> =
            events.map(|event| &event.event_type).filter(|&of| !known.contains(of)).collect();
        for event_type in types {
            self.type_name.push(&event_type.name);
            self.type_schema.push(event_type.schema_version);
        }
    }

    fn push(&mut self, command: i32, append: &'a Append) {
        self.command_ids.push(append.command_id.get());
        self.fingerprints.push(append.fingerprint.as_bytes());
        self.command_events.push(count(append.events.len()));
        let expectations_before = self.expected_stream.len();
        for (stream, expected) in &append.expectations {
            self.expected_command.push(command);
            self.expected_stream.push(stream.as_str());
            self.expected_version.push(expected.encode());
        }
        let mut added = vec![0; append.expectations.len()];
        for event in &append.events {
            let of_stream = |(stream, _): &(StreamId, _)| *stream == event.stream;
            // `Append::check` has seen that there is one.
            let expectation = append.expectations.iter().position(of_stream).unwrap_or_default();
            added[expectation] += 1;
            self.event_command.push(command);
            self.event_offset.push(count(self.event_command.len()));
            self.event_expectation.push(count(expectations_before + expectation + 1));
            self.event_version.push(added[expectation]);
            self.event_command_id.push(append.command_id.get());
            self.event_correlation_id.push(append.metadata.correlation_id);
            self.event_causation_id.push(append.metadata.causation_id);
            self.event_actor.push(&append.metadata.actor);
            self.event_tenant.push(append.metadata.tenant);
            self.event_trace.push(append.metadata.trace.as_deref());
            self.event_stream.push(event.stream.as_str());
            self.event_type.push(&event.event_type.name);
            self.event_schema.push(event.event_type.schema_version);
            self.event_tags.push(joined(&event.tags));
            self.event_subject.push(event.subject.as_deref());
            self.event_payload.push(&event.payload);
        }
        self.command_last.push(count(self.event_command.len()));
        for condition in &append.conditions {
            let after = condition.after.get();
            self.conditions.extend(condition.query.items().iter().map(|item| {
                let types = item.types.as_deref();
                ConditionItem { command, after, types, tags: &item.tags }
            }));
        }
        for (ordinal, message) in (1..).zip(&append.messages) {
            let NewMessage { id, stream, subject, body } = message;
            let stream = stream.as_str();
            self.messages.push(MessageItem { command, ordinal, id: *id, stream, subject, body });
        }
        let claims = append.claims.iter().map(|claim| (claim, false));
        for (claim, release) in claims.chain(append.releases.iter().map(|claim| (claim, true))) {
            self.claim_command.push(command);
            self.claim_namespace.push(&claim.namespace);
            self.claim_value.push(&claim.value);
            self.claim_stream.push(claim.stream.as_str());
            self.claim_release.push(release);
            self.claim_subject.push(claim.subject.as_ref().map(Subject::as_str));
        }
    }
}

/// A number of things of one batch, which are far fewer than 2^31.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn joined(tags: &[Tag]) -> Option<String> {
    if tags.is_empty() {
        return None;
    }
    let mut tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    Some(tags.join(TAG_SEPARATOR))
}

struct OutcomeRow {
    command: i32,
    outcome: String,
    stream: Option<String>,
    at: Option<i64>,
}

/// Appends a batch; answers with one outcome per append, in the order given. The log holds the
/// types `known` already. The receipt of a command that took effect before is not complete: it says
/// that it is `repeated`, and no more; see [`super::receipt::find`].
///
/// A stream that one append of the batch writes must be named by no other, no claim and no command
/// id may come twice, and no event may fail a later condition.
pub(super) async fn append_batch(
    connection: &mut PgConnection,
    batch: &[&Append],
    known: &HashSet<EventType>,
) -> Result<Vec<Result<Receipt, AppendError>>, sqlx::Error> {
    let mut parameters = Parameters::default();
    parameters.push_types(known, batch);
    for (number, append) in (1..).zip(batch) {
        parameters.push(number, append);
    }
    if parameters.event_tenant.iter().all(Option::is_none) {
        parameters.event_tenant.clear();
    }
    let conditions = Some(Json(&parameters.conditions)).filter(|json| !json.is_empty());
    let messages = Some(Json(&parameters.messages)).filter(|json| !json.is_empty());
    // fetch_all reads up to the server's ReadyForQuery: the commit is reported, not only the rows.
    let rows = sqlx::query_as!(
        OutcomeRow,
        r#"
        SELECT command AS "command!", outcome AS "outcome!", stream, at
        FROM eventstore.append(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
            $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31,
            $32, $33
        )
        "#,
        &parameters.command_ids as _,
        &parameters.fingerprints as _,
        &parameters.command_events as _,
        &parameters.command_last as _,
        &parameters.expected_command as _,
        &parameters.expected_stream as _,
        &parameters.expected_version as _,
        conditions as _,
        &parameters.claim_command as _,
        &parameters.claim_namespace as _,
        &parameters.claim_value as _,
        &parameters.claim_stream as _,
        &parameters.claim_release as _,
        &parameters.claim_subject as _,
        &parameters.type_name as _,
        &parameters.type_schema as _,
        &parameters.event_command as _,
        &parameters.event_offset as _,
        &parameters.event_expectation as _,
        &parameters.event_version as _,
        &parameters.event_command_id as _,
        &parameters.event_correlation_id as _,
        &parameters.event_causation_id as _,
        &parameters.event_actor as _,
        &parameters.event_tenant as _,
        &parameters.event_trace as _,
        &parameters.event_stream as _,
        &parameters.event_type as _,
        &parameters.event_schema as _,
        &parameters.event_tags as _,
        &parameters.event_subject as _,
        &parameters.event_payload as _,
        messages as _,
    )
    .fetch_all(&mut *connection)
    .await?;

    Ok(read_outcomes(batch, rows))
}

/// What became of each append: what refused it, or where the rows say that it begins.
fn read_outcomes(batch: &[&Append], rows: Vec<OutcomeRow>) -> Vec<Result<Receipt, AppendError>> {
    let mut base = None;
    let mut refusals: Vec<Option<Result<Receipt, AppendError>>> = vec![None; batch.len()];
    let mut heads: Vec<(usize, StreamId, i64)> = Vec::new();
    for row in rows {
        let at = row.at.unwrap_or_default();
        let Some(index) =
            usize::try_from(row.command).ok().and_then(|number| number.checked_sub(1))
        else {
            base = Some(at);
            continue;
        };
        let stream = row.stream.map(|stream| StreamId::recorded(stream.into()));
        if let ("head", Some(stream)) = (row.outcome.as_str(), &stream) {
            heads.push((index, stream.clone(), at));
        } else if let (Some(slot @ None), Some(append)) =
            (refusals.get_mut(index), batch.get(index))
        {
            // Of several reasons to refuse, the first stands.
            *slot = Some(refusal(append, &row.outcome, stream, at));
        }
    }
    let Some(mut position) = base else {
        return batch.iter().map(|_| Err(AppendError::no_outcome())).collect();
    };
    let mut outcomes = Vec::with_capacity(batch.len());
    for (index, (append, refused)) in batch.iter().zip(refusals).enumerate() {
        outcomes.push(refused.unwrap_or_else(|| {
            position += i64::from(count(append.events.len()));
            let head = |stream: &StreamId, expected| match expected {
                ExpectedVersion::Exact(version) => version.get(),
                ExpectedVersion::Any | ExpectedVersion::Exists => heads
                    .iter()
                    .find(|(of, name, _)| *of == index && name == stream)
                    .map_or(0, |(_, _, head)| *head),
            };
            Ok(written(append, Position::new(position), head))
        }));
    }
    outcomes
}

fn refusal(
    append: &Append,
    outcome: &str,
    stream: Option<StreamId>,
    at: i64,
) -> Result<Receipt, AppendError> {
    let command_id = append.command_id;
    match (outcome, stream) {
        ("duplicate", _) => {
            let position = Position::new(at);
            Ok(Receipt { command_id, position, streams: Vec::new(), repeated: true })
        }
        ("other-body", _) => Err(AppendError::OtherBody { command_id }),
        ("conflict", Some(stream)) => {
            Err(AppendError::Conflict { stream, actual: StreamVersion::new(at) })
        }
        ("condition-failed", Some(stream)) => {
            Err(AppendError::ConditionFailed { position: Position::new(at), stream })
        }
        (outcome, Some(holder)) if outcome.starts_with("claim-taken:") => {
            let namespace = outcome["claim-taken:".len()..].to_owned();
            Err(AppendError::ClaimTaken { namespace, holder })
        }
        (outcome, _) if outcome.starts_with("subject-erased:") => {
            let subject = Subject::recorded(outcome["subject-erased:".len()..].into());
            Err(AppendError::SubjectErased { subject })
        }
        _ => Err(AppendError::no_outcome()),
    }
}

fn written(
    append: &Append,
    position: Position,
    head: impl Fn(&StreamId, ExpectedVersion) -> i64,
) -> Receipt {
    let mut streams: Vec<(StreamId, StreamVersion)> = Vec::new();
    for (stream, expected) in &append.expectations {
        let added = append.events.iter().filter(|event| event.stream == *stream).count();
        if added > 0 {
            let version = head(stream, *expected) + i64::from(count(added));
            streams.push((stream.clone(), StreamVersion::new(version)));
        }
    }
    streams.sort_unstable();
    Receipt { command_id: append.command_id, position, streams, repeated: false }
}
