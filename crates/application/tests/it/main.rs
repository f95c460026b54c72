//! The command bus against a real log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod catalog;
mod idempotence;
mod jobs;
mod message_limit;
mod ordering;
mod oversell;
mod policies;
mod snapshots;
