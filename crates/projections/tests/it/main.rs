//! The engine and the read models, on a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod history;
mod support;

mod deploy;
mod digests;
mod poison;
mod queries;
mod rebuild;
mod rebuilt_equals_live;
mod workers;
