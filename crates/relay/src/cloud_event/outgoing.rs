//! Writes a message of the contract.

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use chrono::SecondsFormat;
use eventstore::{EventId, LogId, Outbound, Position};

use super::{CONTENT_TYPE, Render, RenderError, Rendered, SOURCE_PREFIX, SPEC_VERSION, header};
use crate::Namespace;

/// A message ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An outbox row that is no message: publishing stops, because skipping it would be silent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutgoingError {
    #[error("event {id} at position {position} of type {event_type}")]
    Render {
        id: EventId,
        position: Position,
        event_type: String,
        #[source]
        source: RenderError,
    },
    #[error(
        "event {id} at position {position} is in the outbox, but the contract has no message for it"
    )]
    Private { id: EventId, position: Position },
    #[error(
        "event {id} at position {position} is in the outbox as {recorded:?}, but the contract makes \
         {rendered:?} of it"
    )]
    OtherSubject { id: EventId, position: Position, recorded: String, rendered: String },
    #[error("{value:?} of event {id} at position {position} cannot be sent as {name}")]
    Unspeakable { id: EventId, position: Position, name: &'static str, value: String },
}

/// The message of the contract that `item` stands for; `None` if the public is not told of it.
pub(crate) fn outgoing(
    namespace: &Namespace,
    log: LogId,
    item: &Outbound,
    render: &dyn Render,
) -> Result<Option<Outgoing>, OutgoingError> {
    let event = &item.event;
    let (id, position) = (event.id, event.position);
    let Rendered { subject, body } = match render.render(event) {
        Ok(Some(rendered)) => rendered,
        Ok(None) if item.subject.is_none() => return Ok(None),
        Ok(None) => return Err(OutgoingError::Private { id, position }),
        Err(source) => {
            let event_type = event.event_type.to_string();
            return Err(OutgoingError::Render { id, position, event_type, source });
        }
    };
    if let Some(recorded) = item.subject.as_ref().filter(|recorded| **recorded != subject) {
        let (recorded, rendered) = (recorded.clone(), subject);
        return Err(OutgoingError::OtherSubject { id, position, recorded, rendered });
    }
    if !is_subject(&subject) {
        let (name, value) = ("a subject", subject);
        return Err(OutgoingError::Unspeakable { id, position, name, value });
    }
    let subject = namespace.subject(&subject);

    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: String| match value.parse::<HeaderValue>() {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(OutgoingError::Unspeakable { id, position, name, value }),
    };
    put(header::SPEC_VERSION, SPEC_VERSION.to_owned())?;
    put(header::ID, id.to_string())?;
    put(header::SOURCE, format!("{SOURCE_PREFIX}{log}"))?;
    put(header::TYPE, subject.clone())?;
    put(header::SUBJECT, event.stream.to_string())?;
    put(header::TIME, event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true))?;
    put(header::SEQUENCE, event.version.to_string())?;
    put(header::POSITION, position.to_string())?;
    put(header::COMMAND_ID, event.command_id.to_string())?;
    put(header::CORRELATION_ID, event.metadata.correlation_id.to_string())?;
    if let Some(causation_id) = event.metadata.causation_id {
        put(header::CAUSATION_ID, causation_id.to_string())?;
    }
    if let Some(trace) = &event.metadata.trace {
        put(header::TRACE, trace.clone())?;
    }
    put(header::CONTENT_TYPE, CONTENT_TYPE.to_owned())?;
    Ok(Some(Outgoing { id, position, subject, headers, body: Bytes::from(body) }))
}

/// Whether something can be sent on `subject`: tokens of visible ASCII without wildcards.
fn is_subject(subject: &str) -> bool {
    subject.split('.').all(|token| {
        !token.is_empty()
            && token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>'))
    })
}
