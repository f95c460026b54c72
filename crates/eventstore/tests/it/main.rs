//! The event store against a real PostgreSQL: the laws it promises, and what tries to break them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod account;
mod aggregates;
mod append;
mod append_only;
mod archive;
mod claims;
mod concurrency;
mod conditions;
mod cursors;
mod decisions;
mod durability;
mod evolution;
mod examples;
mod forgetting;
mod idempotence;
mod killers;
mod messages;
mod model;
mod partitions;
mod personal;
mod reads;
mod retention;
mod roles;
mod silence;
mod subscriptions;
mod tenants;
