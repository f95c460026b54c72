//! Accounts, sessions, access tokens and roles, over HTTP.

mod at_once;
mod door;
mod enumeration;
mod erasure;
mod external;
mod journey;
mod lock_out;
mod owners;
mod refresh;
mod revocation;
mod roles;
mod routes;
mod secrets;
