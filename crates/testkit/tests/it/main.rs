//! Tests of testkit with real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests, in which the lint allows it")]

mod database;
mod lifeline;
mod messaging;
mod postgres;
mod services;
mod support;
