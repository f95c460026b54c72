//! Policies: given what was told, what is to be decided next.

use crate::{Decision, Message, PayloadType};

/// A stateless process manager: it reads messages and answers with decisions.
///
/// It runs as a consumer of its own, behind an inbox, so each message is reacted to once.
pub struct Policy {
    /// The consumer's name; its place in the message stream is kept under it for ever.
    pub name: &'static str,
    /// The messages it reads.
    pub reads: &'static [PayloadType],
    /// The decisions that follow from a message; they are appended together.
    pub react: fn(&Message) -> Vec<Box<dyn Decision>>,
}

/// Every policy there is.
pub const POLICIES: &[&Policy] =
    &[&crate::inventory::RESERVE_PLACED_ORDERS, &crate::ordering::SETTLE_RESERVED_ORDERS];
