//! Accounts, sessions, access tokens and roles, over HTTP.

mod door;
mod enumeration;
mod journey;
mod refresh;
mod revocation;
mod routes;
