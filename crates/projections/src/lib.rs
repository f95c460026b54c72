//! The projection engine and every read model with its schema and queries.
//!
//! A read model is a function of the log (law 7): a [`Projection`] says which events it reads and
//! how they change its tables, an [`Engine`] follows the log with it, [`rebuild`] makes it anew beside
//! the live one and switches. Read models are disposable: their schema stands here, beside the code
//! that fills it, and not in `migrations/`.
//!
//! One more read model is one folder like [`orders`], and one line in [`ALL`]; docs/read-models.md
//! shows how.

mod attempts;
mod batch;
mod interventions;
mod parking;
mod projection;
mod revision;
mod slots;
mod source;
mod span;
mod tenant;

pub mod comparison;
pub mod digests;
pub mod document;
pub mod engine;
pub mod freshness;
pub mod generation;
pub mod operations;
pub mod overview;
pub mod rebuild;
pub mod time_travel;
pub mod verify;
pub mod why;

pub mod orders;
pub mod organizations;
pub mod products;
pub mod users;

pub use document::Document;
pub use engine::{Engine, Status, Worker};
pub use generation::prepare;
pub use parking::MOST_PARKED;
pub use projection::{Applied, Entry, HandlerError, Projection, id_of_stream};
pub use revision::Revision;
pub use slots::{SLOTS, slot_of};
pub use source::{Decode, Source};
pub use tenant::{ROLE, Tenant};

/// The code in docs/read-models.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/read-models.md")]
struct AddingOne;

/// Every read model there is.
pub const ALL: &[&Projection] =
    &[&orders::ORDERS, &organizations::ORGANIZATIONS, &products::PRODUCTS, &users::USERS];
