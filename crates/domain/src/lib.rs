//! The pure domain of Annals: what may happen, and what follows from what has happened.
//!
//! Every context (catalog, identity, inventory, ordering, organizations) is a module of aggregates, which fold the events of
//! a stream, and of deciders: pure functions from aggregates and a command to new events. Ids and times arrive inside commands; there is no I/O,
//! no clock, no randomness and no async here, so every rule is tested by plain function calls.
//!
//! Two languages are kept apart. *Events* ([`Event`]) are private: they are what the log stores.
//! *Messages* ([`Message`]) are public: they are what other systems read. [`Message::of`] is the
//! only way from the first to the second, so what leaves is always a choice.

mod payload;

pub mod aggregate;
pub mod claim;
pub mod decider;
pub mod event;
pub mod ids;
pub mod message;
pub mod policy;
pub mod rejection;
pub mod stream;
pub mod values;

#[cfg(test)]
mod testing;

pub mod catalog;
pub mod identity;
pub mod inventory;
pub mod ordering;
pub mod organizations;

pub use aggregate::{Aggregate, Aggregates, CATEGORIES, STATE_VERSION, State};
pub use claim::Claim;
pub use decider::{Decider, Decision};
pub use event::Event;
pub use message::Message;
pub use payload::{DecodeError, PayloadType};
pub use policy::{POLICIES, Policy};
pub use rejection::Rejection;
pub use stream::Stream;
