//! Private PostgreSQL and NATS servers, for `annals dev` and for every test.
//!
//! - `annals dev` and the like: [`Services::start`] finds or fetches both programs, starts
//!   them on free ports with data under one directory, and stops them with this process.
//! - A test that wants a database or a stream: [`TestDatabase::create`] and
//!   [`TestBroker::shared`], on servers that all tests of the process share.
//! - A test that kills, freezes or restarts a server: [`Postgres::start_ephemeral`] and
//!   [`Nats::start_ephemeral`]; three that are one cluster: [`NatsCluster::start_ephemeral`].
//! - A test that lets a program in Python have a look, or one of npm: [`Python::with`],
//!   [`Node::with`].
//! - A test that cuts a connection, slows it down or lets it fall silent: [`Line`].
//! - A test that kills, freezes or restarts a program of its own: [`Program`].
//! - A test that listens to server-sent events: [`EventSource`].
//! - A test behind a pooler: [`PgBouncer`]; behind a proxy: [`HaProxy`].
//! - A test that sends mail: [`SmtpSink`].
//! - A test that logs in elsewhere: [`OidcProvider`].
//! - A test that waits: [`eventually()`], never a sleep.
//!
//! The servers are real and as durable as production, and none outlives the process that
//! started it, even if that is killed with kill -9 (the private module `lifeline` says how,
//! docs/adr/0004-child-process-services.md why).
//!
//! ```no_run
//! # async fn example(migrator: &sqlx::migrate::Migrator) {
//! use std::time::Duration;
//!
//! let database = testkit::TestDatabase::create(migrator).await;
//! let pool = database.pool();
//! testkit::eventually(Duration::from_secs(10), "an event in the log", || async {
//!     let count: i64 = sqlx::query_scalar("SELECT count(*) FROM eventstore.events")
//!         .fetch_one(&pool)
//!         .await
//!         .map_err(|error| error.to_string())?;
//!     if count > 0 { Ok(count) } else { Err("an empty log".to_owned()) }
//! })
//! .await;
//! # }
//! ```

// For `annals dev` and for tests.
mod error;
mod nats;
mod postgres;
mod services;

// For tests.
mod database;
mod event_source;
mod eventually;
mod haproxy;
mod instance;
mod line;
mod namespace;
mod node;
mod oidc_provider;
mod pgbouncer;
mod program;
mod python;
mod shared;
mod smtp_sink;

// What the services stand on.
mod account;
mod leftover;
mod lifeline;
mod lookup;
mod package_manager;
mod port;
mod process;
mod random;
mod root_lock;

pub use database::TestDatabase;
pub use error::Error;
pub use event_source::{EventParser, EventSource, EventSourceError, ServerEvent};
pub use eventually::eventually;
pub use haproxy::HaProxy;
pub use line::Line;
pub use namespace::TestBroker;
pub use nats::{Nats, NatsCluster};
pub use node::Node;
pub use oidc_provider::{OidcAccount, OidcClient, OidcProvider};
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use program::Program;
pub use python::Python;
pub use services::{ServiceOptions, Services};
pub use shared::{nats_url, postgres_url};
pub use smtp_sink::{ArrivedMail, Misbehaviour, SinkSecurity, SmtpSink, SmtpSinkOptions, SmtpStep};
