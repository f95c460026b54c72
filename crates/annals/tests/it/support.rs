//! Processes of the binary, and what talks to them.

mod client;
mod process;
mod subscriber;

pub(crate) use client::Client;
pub(crate) use process::{Process, annals, dev, free_address, fresh_directory};
pub(crate) use subscriber::{Received, Subscriber};

use sqlx::migrate::Migrator;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");
