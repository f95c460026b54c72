//! The relay against a real PostgreSQL and a real nats-server.

#![expect(clippy::unwrap_used, reason = "helpers of tests, in which the lint allows it")]

mod broker;
mod cluster;
mod consumers;
mod contract;
mod credentials;
mod dead_letters;
mod declared;
mod doubt;
mod effects;
mod marks;
mod messages;
mod outage;
mod refusal;
mod replay;
mod retention;
mod suspects;
mod takeover;
mod tenants;
mod verify;
mod withheld;
mod world;

use sqlx::migrate::Migrator;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");
