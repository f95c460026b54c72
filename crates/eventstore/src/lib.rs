//! An event store on PostgreSQL: one gapless log, its outbox, claims and idempotent commands.
//!
//! - [`aggregate`]: load, decide, append, with states in memory and snapshots.
//! - [`append`]: everything one command needs commits in one statement, or nothing does.
//! - [`evolution`]: how events of old shapes are read as events of today's.
//! - [`read`]: streams and the log, in order.
//! - [`archive`]: the log as a file, written out and taken back in.
//! - [`cursor`]: how far a follower of the log has come, under a fenced lease.
//! - [`wakeup`]: how a follower learns that there is more.
//! - [`personal`]: personal data, encrypted under a key for each subject, and erasable.
//!
//! The log is totally ordered: positions run 1, 2, 3 … without gaps in commit order, so a
//! follower resumes from one number and never misses an event (docs/adr/0001-gapless-log.md).
//!
//! This crate stores names and text. It knows no context of the domain and no other crate of
//! this workspace.

mod names;
mod partitions;

pub mod aggregate;
pub mod answer;
pub mod append;
pub mod archive;
pub mod cursor;
pub mod evolution;
pub mod personal;
pub mod query;
pub mod read;
pub mod store;
pub mod subscription;
pub mod wakeup;

pub use append::{
    Append, AppendError, Claim, Condition, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    Receipt, append_in,
};
pub use cursor::{Cursor, CursorError};
pub use names::{
    CommandId, EventId, EventType, InvalidStreamId, InvalidTag, LogId, Position, StreamId,
    StreamVersion, Tag,
};
pub use personal::{
    KeyEncryptionKeys, Keyring, KeyringError, Personal, PersonalError, Place, Subject,
};
pub use query::{Query, QueryItem};
pub use read::{Direction, Filter, Moment, OutboxMessage, Page, RecordedEvent, StreamSlice};
pub use store::EventStore;
pub use subscription::{Rewound, Subscription};
pub use wakeup::Wakeup;
