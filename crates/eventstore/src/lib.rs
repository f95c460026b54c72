//! An event store on PostgreSQL: one gapless log, its outbox, claims and idempotent commands.
//!
//! - [`append`]: everything one command needs commits in one statement, or nothing does.
//! - [`read`]: streams and the log, in order.
//! - [`cursor`]: how far a follower of the log has come, under a fenced lease.
//! - [`wakeup`]: how a follower learns that there is more.
//!
//! The log is totally ordered: positions run 1, 2, 3 … without gaps in commit order, so a
//! follower resumes from one number and never misses an event (docs/adr/0001-gapless-log.md).
//!
//! This crate stores names and text. It knows no context of the domain and no other crate of
//! this workspace.

mod names;

pub mod answer;
pub mod append;
pub mod cursor;
pub mod read;
pub mod store;
pub mod wakeup;

pub use append::{
    Append, AppendError, ExpectedVersion, Fingerprint, Metadata, NewClaim, NewEvent, Receipt,
    append_in,
};
pub use cursor::{Cursor, CursorError};
pub use names::{
    CommandId, EventId, EventType, InvalidStreamId, LogId, Position, StreamId, StreamVersion,
};
pub use read::{OutboxMessage, RecordedEvent};
pub use store::EventStore;
pub use wakeup::Wakeup;
