//! The command bus: load, decide, append, receipt.
//!
//! Every change of Annals goes through [`CommandBus`]: it loads the streams a command's decisions
//! depend on, lets the domain decide, and appends everything the decisions produced, or nothing.
//! [`policies`] is the same for commands that follow from messages of other contexts.
//!
//! [`audit`] only looks: what was when, and what made it so.
//!
//! [`mail_texts`] is what is mailed, word by word.
//!
//! The outside world is reached through [`ports`]; their real implementations are the crate
//! `adapters`. Nothing here knows HTTP or the message broker.

mod aggregates;
mod codec;
mod message_limit;
mod refusal;
mod sealing;
mod secret_digest;
mod span;

pub mod access;
pub mod audit;
pub mod bus;
pub mod command;
pub mod jobs;
pub mod mail_texts;
pub mod opaque_token;
pub mod passwords;
pub mod policies;
pub mod ports;
pub mod second_factor;

pub mod catalog;
pub mod identity;
pub mod ordering;
pub mod organizations;

pub use bus::{CommandBus, CommandError};
pub use codec::{DecodeEventError, Undecodable, WithoutKeys, decode, evolution};
pub use command::{Command, Origin};
pub use message_limit::{MessageLimit, MessageTooLarge};
pub use refusal::Refusal;
