//! The domain from outside: what is written stays readable, and stock is never oversold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api_keys;
mod golden;
mod organizations;
mod reservations;
mod second_factor;
mod sessions;
