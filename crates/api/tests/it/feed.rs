//! `GET /v1/events`, over real sockets, from processes side by side.

mod world;

mod asking;
mod closing;
mod complete;
mod database;
mod sharing;
mod snapshot;
mod web_socket;
