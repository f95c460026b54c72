//! Processes of the binary, and what talks to them.

mod client;
mod collector;
mod process;
mod site;
mod subscriber;
mod validator;

pub(crate) use client::Client;
pub(crate) use collector::{Receiver, Rotel, Span};
pub(crate) use process::{Process, annals, dev, free_address, fresh_directory, trusting};
pub(crate) use site::{Answer, Site};
pub(crate) use subscriber::{Received, Subscriber};
pub(crate) use validator::{Questions, contract};

use sqlx::migrate::Migrator;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");
