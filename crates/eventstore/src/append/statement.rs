//! The one statement: a batch of appends as arrays, and the outcomes read back.

use sqlx::PgConnection;

use super::{Append, AppendError, Receipt, receipt};
use crate::{Position, StreamId, StreamVersion};

/// One array per parameter of `eventstore.append`.
#[derive(Default)]
struct Parameters<'a> {
    command_ids: Vec<uuid::Uuid>,
    fingerprints: Vec<&'a [u8]>,
    correlation_ids: Vec<uuid::Uuid>,
    causation_ids: Vec<Option<uuid::Uuid>>,
    actors: Vec<&'a str>,
    traces: Vec<Option<&'a str>>,
    expected_command: Vec<i32>,
    expected_stream: Vec<&'a str>,
    expected_version: Vec<i64>,
    claim_command: Vec<i32>,
    claim_namespace: Vec<&'a str>,
    claim_value: Vec<&'a str>,
    claim_stream: Vec<&'a str>,
    event_command: Vec<i32>,
    event_id: Vec<uuid::Uuid>,
    event_stream: Vec<&'a str>,
    event_type: Vec<&'a str>,
    event_schema: Vec<i16>,
    event_payload: Vec<&'a str>,
    event_subject: Vec<Option<&'a str>>,
}

impl<'a> Parameters<'a> {
    fn push(&mut self, command: i32, append: &'a Append) {
        self.command_ids.push(append.command_id.get());
        self.fingerprints.push(append.fingerprint.as_bytes());
        self.correlation_ids.push(append.metadata.correlation_id);
        self.causation_ids.push(append.metadata.causation_id);
        self.actors.push(&append.metadata.actor);
        self.traces.push(append.metadata.trace.as_deref());
        for (stream, expected) in &append.expectations {
            self.expected_command.push(command);
            self.expected_stream.push(stream.as_str());
            self.expected_version.push(expected.encode());
        }
        for event in &append.events {
            self.event_command.push(command);
            self.event_id.push(event.id.get());
            self.event_stream.push(event.stream.as_str());
            self.event_type.push(&event.event_type.name);
            self.event_schema.push(event.event_type.schema_version);
            self.event_payload.push(&event.payload);
            self.event_subject.push(event.subject.as_deref());
        }
        for claim in &append.claims {
            self.claim_command.push(command);
            self.claim_namespace.push(&claim.namespace);
            self.claim_value.push(&claim.value);
            self.claim_stream.push(claim.stream.as_str());
        }
    }
}

struct OutcomeRow {
    command: i32,
    outcome: String,
    stream: Option<String>,
    at: Option<i64>,
}

/// Appends a batch; answers with one outcome per append, in the order given.
///
/// A stream that one append of the batch writes must be named by no other.
pub(super) async fn append_batch(
    connection: &mut PgConnection,
    batch: &[&Append],
) -> Result<Vec<Result<Receipt, AppendError>>, sqlx::Error> {
    let mut parameters = Parameters::default();
    for (number, append) in (1..).zip(batch) {
        parameters.push(number, append);
    }
    // fetch_all reads up to the server's ReadyForQuery: the commit is reported, not only the rows.
    let rows = sqlx::query_as!(
        OutcomeRow,
        r#"
        SELECT command AS "command!", outcome AS "outcome!", stream, at
        FROM eventstore.append(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
        )
        "#,
        &parameters.command_ids as _,
        &parameters.fingerprints as _,
        &parameters.correlation_ids as _,
        &parameters.causation_ids as _,
        &parameters.actors as _,
        &parameters.traces as _,
        &parameters.expected_command as _,
        &parameters.expected_stream as _,
        &parameters.expected_version as _,
        &parameters.claim_command as _,
        &parameters.claim_namespace as _,
        &parameters.claim_value as _,
        &parameters.claim_stream as _,
        &parameters.event_command as _,
        &parameters.event_id as _,
        &parameters.event_stream as _,
        &parameters.event_type as _,
        &parameters.event_schema as _,
        &parameters.event_payload as _,
        &parameters.event_subject as _,
    )
    .fetch_all(&mut *connection)
    .await?;

    let mut outcomes: Vec<Option<Result<Receipt, AppendError>>> = vec![None; batch.len()];
    for row in rows {
        let index = usize::try_from(row.command - 1).unwrap_or(usize::MAX);
        if let (Some(slot), Some(append)) = (outcomes.get_mut(index), batch.get(index)) {
            read_outcome(slot, append, row);
        }
    }
    let mut repeated = Vec::new();
    for (outcome, append) in outcomes.iter_mut().zip(batch) {
        if let Some(Ok(receipt)) = outcome
            && receipt.repeated
        {
            repeated.push((append.command_id, outcome));
        }
    }
    for (command_id, outcome) in repeated {
        let known = receipt::find(connection, command_id).await?;
        *outcome = known.map(Ok);
    }
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|| Err(AppendError::no_outcome())))
        .collect())
}

/// Folds one row into what is known of `append`; of several reasons to refuse, the first stands.
fn read_outcome(slot: &mut Option<Result<Receipt, AppendError>>, append: &Append, row: OutcomeRow) {
    let command_id = append.command_id;
    let at = row.at.unwrap_or_default();
    let stream = row.stream.map(StreamId::recorded);
    let with = |repeated| Receipt {
        command_id,
        position: Position::new(at),
        streams: Vec::new(),
        repeated,
    };
    match (row.outcome.as_str(), stream, slot.as_mut()) {
        ("appended", _, None) => *slot = Some(Ok(with(false))),
        ("duplicate", _, None) => *slot = Some(Ok(with(true))),
        ("stream", Some(stream), Some(Ok(receipt))) => {
            receipt.streams.push((stream, StreamVersion::new(at)));
            receipt.streams.sort_unstable();
        }
        ("other-body", _, None) => *slot = Some(Err(AppendError::OtherBody { command_id })),
        ("conflict", Some(stream), None) => {
            *slot = Some(Err(AppendError::Conflict { stream, actual: StreamVersion::new(at) }));
        }
        (outcome, Some(holder), None) => {
            if let Some(namespace) = outcome.strip_prefix("claim-taken:") {
                let namespace = namespace.to_owned();
                *slot = Some(Err(AppendError::ClaimTaken { namespace, holder }));
            }
        }
        _ => {}
    }
}
