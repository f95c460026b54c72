//! The binary from outside: real processes, real PostgreSQL, real NATS, real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod schemathesis;
mod support;

mod access;
mod audit;
mod broker_down;
mod command_line;
mod contract;
mod dead_letters;
mod dev;
mod documents;
mod feed;
mod flow;
mod jobs;
mod lost_answer;
mod mail;
mod parked_keys;
mod permissions;
mod personal;
mod projections;
mod projector_drill;
mod readiness;
mod rebuild;
mod relay;
mod restart;
mod serving;
mod telemetry;
mod tenants;
mod why;
