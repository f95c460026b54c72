//! Given what happened, when a command comes, then this follows.

use crate::{Aggregates, Decider, Event};

/// Decides on `command` after `history`.
pub(crate) fn decide<D: Decider>(
    history: &[Event],
    command: &D,
) -> Result<Vec<Event>, D::Rejection> {
    let mut aggregates = Aggregates::default();
    for event in history {
        aggregates.apply(event);
    }
    command.decide(&aggregates)
}
