#![doc = include_str!("../README.md")]

mod names;
mod notifications;
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
pub mod retention;
pub mod store;
pub mod subscription;
pub mod trace;
pub mod wakeup;

pub use append::{
    Append, AppendError, Claim, Condition, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    NewMessage, Receipt,
};
pub use cursor::{Cursor, CursorError};
pub use names::{
    CommandId, EventId, EventType, InvalidStreamId, InvalidTag, LogId, Position, StreamId,
    StreamVersion, Tag,
};
pub use personal::{
    Digests, KeyEncryptionKeys, Keyring, KeyringError, Personal, PersonalError, Place, Subject,
};
pub use query::{Query, QueryItem};
pub use read::{
    Direction, Filter, Moment, Outbound, OutboundMessage, OutboundPage, OutboxMessage, OutboxPlace,
    Page, PageLimit, RecordedEvent, StreamSlice,
};
pub use retention::{Forgotten, Retirement};
pub use store::EventStore;
pub use subscription::{Rewound, Subscription};
pub use wakeup::Wakeup;
