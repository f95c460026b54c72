//! Given what happened, when a command comes, then this follows.

use crate::{Decider, Event};

/// Decides on `command` after `history`.
pub(crate) fn decide<D: Decider>(
    history: &[Event],
    command: D::Command,
) -> Result<Vec<Event>, D::Rejection> {
    D::decide(&history.iter().fold(D::initial(), D::evolve), command)
}
