//! What a caller asks to be appended.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::AppendError;
use crate::query::Query;
use crate::{CommandId, EventType, Position, StreamId, StreamVersion, Subject, Tag};

/// Most events of one append.
pub(super) const MAX_EVENTS: usize = 500;

/// Most messages of one append.
pub(super) const MAX_MESSAGES: usize = 100;

/// Most bytes of one payload, and of the messages of one append. A public message must fit NATS's default limit of 1 MiB with its headers.
pub(super) const MAX_PAYLOAD_BYTES: usize = 512 * 1024;

/// Everything one command writes; all of it is appended, or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// The command; the same id again gives the same receipt and no second effect (law 3).
    pub command_id: CommandId,
    /// What was asked, so that the same id with another body is refused.
    pub fingerprint: Fingerprint,
    /// Who asked, and why; recorded with every event.
    pub metadata: Metadata,
    /// The streams it was decided on, each once, and where they must be for the append to
    /// happen. A stream that is only read may be here too; one that is written must.
    pub expectations: Vec<(StreamId, ExpectedVersion)>,
    /// What happened, in the order in which it enters the log; 0 to 500 events.
    pub events: Vec<NewEvent>,
    /// What the public is told besides, behind the last of the events; 0 to 100 messages.
    pub messages: Vec<NewMessage>,
    /// What must not have happened, besides.
    pub conditions: Vec<Condition>,
    /// The values that the streams take.
    pub claims: Vec<Claim>,
    /// The values that the streams give up, before any is taken; one that its stream does not hold
    /// stays as it is.
    pub releases: Vec<Claim>,
}

/// Where a stream must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// At this version; [`StreamVersion::START`] if it must not exist.
    Exact(StreamVersion),
    /// At some version, but it must exist.
    Exists,
    /// Anywhere.
    Any,
}

impl ExpectedVersion {
    /// The stream must not exist.
    pub const NO_STREAM: Self = Self::Exact(StreamVersion::START);

    /// As `eventstore.append` wants it, to which numbers below 0 say other things.
    pub(crate) const fn encode(self) -> i64 {
        match self {
            // No stream is there, nor at the one that stands for it: always a conflict.
            Self::Exact(version) if version.get() < 0 => i64::MAX,
            Self::Exact(version) => version.get(),
            Self::Any => -1,
            Self::Exists => -2,
        }
    }
}

/// No event that matches `query` may come after the position `after`: the dynamic consistency
/// boundary of a decision that was made on all such events up to there.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Up to where the decision has read; the nearer to the end of the log, the cheaper the check.
    pub after: Position,
    /// What it has read.
    pub query: Query,
}

/// One event to append.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The stream it is added to.
    pub stream: StreamId,
    /// What it says.
    pub event_type: EventType,
    /// What decisions across streams may find it by.
    pub tags: Vec<Tag>,
    /// JSON text; kept byte for byte.
    pub payload: String,
    /// If the public is told, on which subject (without the installation's namespace).
    pub subject: Option<String>,
}

impl NewEvent {
    /// An event without tags, of which the public is not told.
    #[must_use]
    pub fn new(stream: StreamId, event_type: EventType, payload: impl Into<String>) -> Self {
        Self { stream, event_type, tags: Vec::new(), payload: payload.into(), subject: None }
    }
}

/// A message that is no event, but commits with those of its append: a request to another system,
/// say. The outbox keeps it until it is published, and it is no part of the log.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id, of which there is no other.
    pub id: Uuid,
    /// The stream that it is about; the append need not name it.
    pub stream: StreamId,
    /// On which subject it is sent (without the installation's namespace).
    pub subject: String,
    /// JSON text; kept byte for byte.
    pub body: String,
}

/// A value of a stream, unique within `namespace`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// What is unique, for example `user.email`.
    pub namespace: String,
    /// The value.
    pub value: String,
    /// Whose it is; one of the streams of the append.
    pub stream: StreamId,
    /// Of whom it says something: erasing the subject releases it. The value itself is stored as it
    /// is, so one that is personal is hidden first: [`Digests::claim`](crate::Digests::claim).
    pub subject: Option<Subject>,
}

impl Claim {
    /// `value` for `stream`, unique within `namespace`, of no subject.
    #[must_use]
    pub fn new(namespace: impl Into<String>, value: impl Into<String>, stream: StreamId) -> Self {
        Self { namespace: namespace.into(), value: value.into(), stream, subject: None }
    }
}

/// Who asked for a command, and why.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Who asked.
    pub actor: String,
    /// Whose organization it belongs to; `None` if it belongs to none.
    pub tenant: Option<Uuid>,
    /// The request that began the whole story.
    pub correlation_id: Uuid,
    /// The message that caused this command, if one did.
    pub causation_id: Option<Uuid>,
    /// W3C traceparent: what caused it. Events carry it as it is, or, of a trace that is recorded, the
    /// context of the append itself ([`crate::trace`]).
    pub trace: Option<String>,
}

/// A digest of what a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// SHA-256 of `body`, which must be the same bytes whenever the same is asked.
    ///
    /// Whoever reads the database can try out guesses: a body with personal data takes
    /// [`Digests::fingerprint`](crate::Digests::fingerprint).
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// A digest made elsewhere.
    pub(crate) const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Append {
    /// What `command_id` writes, still nothing.
    #[must_use]
    pub const fn new(command_id: CommandId, fingerprint: Fingerprint, metadata: Metadata) -> Self {
        Self {
            command_id,
            fingerprint,
            metadata,
            expectations: Vec::new(),
            events: Vec::new(),
            messages: Vec::new(),
            conditions: Vec::new(),
            claims: Vec::new(),
            releases: Vec::new(),
        }
    }

    /// Refuses what could never be appended, before it costs the database anything.
    pub(crate) fn check(&self) -> Result<(), AppendError> {
        let events = self.events.len();
        if events > MAX_EVENTS {
            return Err(AppendError::TooManyEvents { events });
        }
        let mut named = HashSet::with_capacity(self.expectations.len());
        for (stream, _) in &self.expectations {
            if !named.insert(stream) {
                return Err(AppendError::RepeatedStream { stream: stream.clone() });
            }
        }
        for event in &self.events {
            let payload_bytes = event.payload.len();
            if payload_bytes > MAX_PAYLOAD_BYTES {
                let event_type = event.event_type.clone();
                return Err(AppendError::PayloadTooLarge { event_type, payload_bytes });
            }
            if !named.contains(&event.stream) {
                return Err(AppendError::WithoutExpectation { stream: event.stream.clone() });
            }
        }
        self.check_messages()?;
        let mut values = HashSet::with_capacity(self.claims.len());
        for Claim { namespace, value, .. } in &self.claims {
            if !values.insert((namespace, value)) {
                return Err(AppendError::RepeatedClaim { namespace: namespace.clone() });
            }
        }
        for claim in self.claims.iter().chain(&self.releases) {
            if !named.contains(&claim.stream) {
                return Err(AppendError::WithoutExpectation { stream: claim.stream.clone() });
            }
        }
        Ok(())
    }

    fn check_messages(&self) -> Result<(), AppendError> {
        let messages = self.messages.len();
        if messages > MAX_MESSAGES {
            return Err(AppendError::TooManyMessages { messages });
        }
        if messages > 0 && self.events.is_empty() {
            return Err(AppendError::MessagesWithoutEvent);
        }
        let body_bytes = self.messages.iter().map(|message| message.body.len()).sum();
        if body_bytes > MAX_PAYLOAD_BYTES {
            return Err(AppendError::MessagesTooLarge { body_bytes });
        }
        Ok(())
    }
}
