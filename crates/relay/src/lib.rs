//! Outbox to JetStream, JetStream to inbox, and the public message contract.
//!
//! - [`namespace`]: what sets one installation's messages apart.
//! - [`broker`]: where NATS is.
//! - [`cloud_event`]: the contract: what a message looks like on the wire, written and read.
//! - [`declared`]: what the broker should hold, against what it has.
//! - [`publisher`]: brings every message of the outbox into the stream, once and in order (law 5).
//! - [`verify`]: whether the stream is what the log says.
//! - [`replay`]: sends again what the public was told, to one subscriber.
//! - [`consumer`]: gives each message to a handler, with one effect (law 6).
//! - [`inbox`]: how long marks of what has taken effect are kept.
//!
//! No other crate of this workspace knows NATS; this one knows no context of the domain. An
//! integrator's service uses [`consumer`] and [`cloud_event`] as they are: all they need is a
//! database with the `relay` schema.

pub mod broker;
pub mod cloud_event;
pub mod consumer;
pub mod dead_letters;
pub mod declared;
pub mod inbox;
pub mod namespace;
pub mod publisher;
pub mod replay;
pub mod verify;

mod backoff;
mod walk;

pub use broker::{Broker, BrokerError, InvalidBroker};
pub use cloud_event::{
    IncomingMessage, MalformedMessage, MessageType, Render, RenderError, Rendered,
};
pub use consumer::{
    Consumer, ConsumerConfig, ConsumerState, ConsumerStatus, Handler, HandlerError, Marks, Retries,
    SLOTS, Start,
};
pub use declared::{ApplyError, Declared, StreamLimits};
pub use namespace::{InvalidNamespace, Namespace};
pub use publisher::{Publisher, PublisherConfig, RelayState, RelayStatus, oldest_unpublished};
pub use walk::{Told, WalkError};
