//! Lines of an archive that are written together, as arrays.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::line::{ClaimLine, CommandLine, EventLine};
use crate::{Position, StreamVersion};

/// Most lines of one kind that are written together; no partition holds fewer events.
const LINES: usize = 1_000;

/// About the most bytes of payloads that are written together.
const BYTES: usize = 4 * 1024 * 1024;

/// Between the tags of an event; no tag has a control character.
const TAG_SEPARATOR: &str = "\u{1f}";

/// One array for each parameter of the functions of the database.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: usize,
    positions: Vec<i64>,
    recorded: Vec<DateTime<Utc>>,
    event_command_ids: Vec<Uuid>,
    correlation_ids: Vec<Uuid>,
    causation_ids: Vec<Option<Uuid>>,
    versions: Vec<i64>,
    schema_versions: Vec<i16>,
    types: Vec<String>,
    streams: Vec<String>,
    actors: Vec<String>,
    tenants: Vec<Option<Uuid>>,
    traces: Vec<Option<String>>,
    tag_lists: Vec<Option<String>>,
    payloads: Vec<String>,
    command_ids: Vec<Uuid>,
    fingerprints: Vec<Vec<u8>>,
    first_positions: Vec<i64>,
    last_positions: Vec<i64>,
    commands_recorded: Vec<DateTime<Utc>>,
    claim_namespaces: Vec<String>,
    claim_values: Vec<String>,
    claim_streams: Vec<String>,
    claim_subjects: Vec<Option<String>>,
}

/// An event that does not follow the last one of its stream.
pub(super) struct WrongVersion {
    pub(super) position: Position,
    pub(super) expected: StreamVersion,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        let lines = [self.positions.len(), self.command_ids.len(), self.claim_values.len()];
        self.bytes >= BYTES || lines.into_iter().any(|lines| lines >= LINES)
    }

    pub(super) fn add_event(&mut self, event: EventLine) {
        self.bytes += event.payload.len();
        self.positions.push(event.position.get());
        self.recorded.push(event.recorded_at);
        self.event_command_ids.push(event.command_id.get());
        self.correlation_ids.push(event.correlation_id);
        self.causation_ids.push(event.causation_id);
        self.versions.push(event.version.get());
        self.schema_versions.push(event.schema_version);
        self.types.push(event.event_type);
        self.streams.push(event.stream);
        self.actors.push(event.actor);
        self.tenants.push(event.tenant);
        self.traces.push(event.trace);
        let tags = Some(event.tags).filter(|tags| !tags.is_empty());
        self.tag_lists.push(tags.map(|tags| tags.join(TAG_SEPARATOR)));
        self.payloads.push(event.payload);
    }

    pub(super) fn add_command(&mut self, command: CommandLine) {
        self.command_ids.push(command.id.get());
        self.fingerprints.push(command.fingerprint);
        self.first_positions.push(command.first_position.get());
        self.last_positions.push(command.last_position.get());
        self.commands_recorded.push(command.recorded_at);
    }

    pub(super) fn add_claim(&mut self, claim: ClaimLine) {
        self.claim_namespaces.push(claim.namespace);
        self.claim_values.push(claim.value);
        self.claim_streams.push(claim.stream);
        self.claim_subjects.push(claim.subject);
    }

    /// Writes it, unless an event does not follow the last one of its stream.
    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
    ) -> Result<Option<WrongVersion>, sqlx::Error> {
        if !self.positions.is_empty() {
            let wrong = self.write_events(connection).await?;
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        if !self.command_ids.is_empty() {
            sqlx::query!(
                "SELECT eventstore.import_commands($1, $2, $3, $4, $5)",
                &self.command_ids,
                &self.fingerprints,
                &self.first_positions,
                &self.last_positions,
                &self.commands_recorded,
            )
            .execute(&mut *connection)
            .await?;
        }
        if !self.claim_values.is_empty() {
            sqlx::query!(
                "SELECT eventstore.import_claims($1, $2, $3, $4)",
                &self.claim_namespaces,
                &self.claim_values,
                &self.claim_streams,
                &self.claim_subjects as _,
            )
            .execute(connection)
            .await?;
        }
        Ok(None)
    }

    async fn write_events(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<WrongVersion>, sqlx::Error> {
        let wrong = sqlx::query!(
            r#"
            SELECT position AS "position!", expected AS "expected!"
            FROM eventstore.import_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            "#,
            &self.positions,
            &self.recorded,
            &self.event_command_ids,
            &self.correlation_ids,
            &self.causation_ids as _,
            &self.versions,
            &self.schema_versions,
            &self.types,
            &self.streams,
            &self.actors,
            &self.tenants as _,
            &self.traces as _,
            &self.tag_lists as _,
            &self.payloads,
        )
        .fetch_optional(connection)
        .await?;
        Ok(wrong.map(|wrong| WrongVersion {
            position: Position::new(wrong.position),
            expected: StreamVersion::new(wrong.expected),
        }))
    }
}
