//! Accounts, sessions, access tokens and roles, over HTTP.

mod door;
mod journey;
