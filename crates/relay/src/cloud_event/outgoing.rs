//! Writes a message of the contract.

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use eventstore::trace::is_sampled;
use eventstore::{
    CommandId, LogId, Metadata, Outbound, OutboundMessage, OutboxPlace, RecordedEvent, StreamId,
    StreamVersion,
};
use uuid::Uuid;

use super::{
    CONTENT_TYPE, Render, RenderError, Rendered, SOURCE_PREFIX, SPEC_VERSION, data_schema, header,
};
use crate::Namespace;

/// A message ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) id: Uuid,
    pub(crate) place: OutboxPlace,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Of an event whose trace is recorded.
    pub(crate) traced: Option<Traced>,
}

/// What a message comes from that is followed.
#[derive(Debug)]
pub(crate) struct Traced {
    /// W3C traceparent.
    pub(crate) cause: String,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl Outgoing {
    /// It is sent out of its place; everything up to `after` is in the stream or held.
    #[must_use]
    pub(crate) fn late(mut self, after: OutboxPlace) -> Self {
        self.headers.insert(header::LATE, "true");
        self.headers.insert(header::AFTER, format!("{}.{}", after.position(), after.ordinal()));
        self
    }
}

/// What the outbox holds that is no message.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {id} at position {} {fault}", place.position())]
pub(crate) struct OutgoingError {
    /// Event or message.
    kind: &'static str,
    id: Uuid,
    place: OutboxPlace,
    fault: Fault,
    source: Option<RenderError>,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("of type {event_type}")]
    Render { event_type: String },
    #[error("is in the outbox, but the contract has no message for it")]
    Private,
    #[error("is in the outbox as {recorded:?}, but the contract makes {rendered:?} of it")]
    OtherSubject { recorded: String, rendered: String },
    #[error("has {value:?}, which cannot be sent as {name}")]
    Unspeakable { name: &'static str, value: String },
}

/// The message of the contract that `item` stands for; `None` if the public is not told of it.
pub(crate) fn outgoing(
    namespace: &Namespace,
    log: LogId,
    item: &Outbound,
    render: &dyn Render,
) -> Result<Option<Outgoing>, OutgoingError> {
    let place = item.place();
    match item {
        Outbound::Event { subject, event } => {
            let id = event.id.get();
            let fault = |fault, source| OutgoingError { kind: "event", id, place, fault, source };
            let rendered = public(subject.as_deref(), event, render)
                .map_err(|(why, source)| fault(why, source))?;
            let Some(Rendered { subject, body }) = rendered else { return Ok(None) };
            let message = Attributes::of(event).message(namespace, log, &subject, body);
            message.map(Some).map_err(|why| fault(why, None))
        }
        Outbound::Message(message) => {
            let OutboundMessage {
                id,
                stream,
                subject,
                body,
                recorded_at,
                command_id,
                metadata,
                ..
            } = message;
            let (id, recorded_at, command_id) = (*id, *recorded_at, *command_id);
            let attributes =
                Attributes { id, place, stream, version: None, recorded_at, command_id, metadata };
            let message = attributes.message(namespace, log, subject, body.clone());
            let fault = |fault| OutgoingError { kind: "message", id, place, fault, source: None };
            message.map(Some).map_err(fault)
        }
    }
}

/// What the contract says of `event`, which must be what the outbox says, if it says anything.
fn public(
    recorded: Option<&str>,
    event: &RecordedEvent,
    render: &dyn Render,
) -> Result<Option<Rendered>, (Fault, Option<RenderError>)> {
    match (render.render(event), recorded) {
        (Err(error), _) => {
            let event_type = event.event_type.to_string();
            Err((Fault::Render { event_type }, Some(error)))
        }
        (Ok(None), Some(_)) => Err((Fault::Private, None)),
        (Ok(Some(Rendered { subject: rendered, .. })), Some(recorded)) if rendered != recorded => {
            Err((Fault::OtherSubject { recorded: recorded.to_owned(), rendered }, None))
        }
        (Ok(rendered), _) => Ok(rendered),
    }
}

/// What a message says of itself.
pub(super) struct Attributes<'a> {
    id: Uuid,
    place: OutboxPlace,
    stream: &'a StreamId,
    /// In that stream, of an event.
    version: Option<StreamVersion>,
    recorded_at: DateTime<Utc>,
    command_id: CommandId,
    metadata: &'a Metadata,
}

impl<'a> Attributes<'a> {
    /// Of the message that `event` becomes.
    pub(super) fn of(event: &'a RecordedEvent) -> Self {
        Self {
            id: event.id.get(),
            place: OutboxPlace::within(event.position, 0),
            stream: &event.stream,
            version: Some(event.version),
            recorded_at: event.recorded_at,
            command_id: event.command_id,
            metadata: &event.metadata,
        }
    }

    fn message(
        &self,
        namespace: &Namespace,
        log: LogId,
        subject: &str,
        body: String,
    ) -> Result<Outgoing, Fault> {
        if !is_subject(subject) {
            return Err(Fault::Unspeakable { name: "a subject", value: subject.to_owned() });
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.told(namespace, log, subject) {
            match value.parse::<HeaderValue>() {
                Ok(value) => headers.insert(name, value),
                Err(_) => return Err(Fault::Unspeakable { name, value }),
            }
        }
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
        let subject = namespace.subject(subject);
        let Self { id, place, recorded_at, metadata, .. } = *self;
        let cause = metadata.trace.as_ref().filter(|trace| is_sampled(Some(trace.as_str())));
        let traced = cause.map(|cause| Traced { cause: cause.clone(), recorded_at });
        Ok(Outgoing { id, place, subject, headers, body: Bytes::from(body), traced })
    }

    /// Every attribute of the message on `subject` by the name of its header.
    pub(super) fn told(
        &self,
        namespace: &Namespace,
        log: LogId,
        subject: &str,
    ) -> Vec<(&'static str, String)> {
        let time = self.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let sequence = match self.version {
            Some(version) => (header::SEQUENCE, version.to_string()),
            None => (header::ORDINAL, self.place.ordinal().to_string()),
        };
        let mut told = vec![
            (header::SPEC_VERSION, SPEC_VERSION.to_owned()),
            (header::ID, self.id.to_string()),
            (header::SOURCE, format!("{SOURCE_PREFIX}{log}")),
            (header::TYPE, namespace.subject(subject)),
            (header::DATA_SCHEMA, data_schema(subject)),
            (header::SUBJECT, self.stream.to_string()),
            (header::TIME, time),
            sequence,
            (header::POSITION, self.place.position().to_string()),
            (header::COMMAND_ID, self.command_id.to_string()),
            (header::CORRELATION_ID, self.metadata.correlation_id.to_string()),
        ];
        let causation = self.metadata.causation_id.map(|id| (header::CAUSATION_ID, id.to_string()));
        told.extend(causation);
        told.extend(self.metadata.tenant.map(|id| (header::TENANT, id.to_string())));
        told.extend(self.metadata.trace.clone().map(|trace| (header::TRACE, trace)));
        told
    }
}

/// Whether something can be sent on `subject`: tokens of visible ASCII without wildcards.
fn is_subject(subject: &str) -> bool {
    subject.split('.').all(|token| {
        !token.is_empty()
            && token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>'))
    })
}
