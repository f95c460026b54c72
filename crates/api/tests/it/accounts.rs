//! Accounts, sessions, access tokens and roles, over HTTP.

mod api_keys;
mod at_once;
mod door;
mod enumeration;
mod erasure;
mod external;
mod journey;
mod lock_out;
mod organizations;
mod owners;
mod refresh;
mod revocation;
mod roles;
mod routes;
mod second_factor;
mod secrets;
mod users;
