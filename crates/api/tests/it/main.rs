//! The router, called in process over a real database. Answers are compared whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod statements;
mod support;

mod accounts;
mod as_of;
mod audit;
mod bodies;
mod catalogue;
mod commands;
mod cursors;
mod description;
mod entity_tags;
mod feed;
mod fresh;
mod headers;
mod hostile;
mod idempotency;
mod layers;
mod ops;
mod outage;
mod parameters;
mod projections;
mod routes;
mod serve;
