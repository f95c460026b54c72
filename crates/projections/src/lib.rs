//! The projection engine and every read model with its schema and queries.
//!
//! A read model is a function of the log (law 7): a [`Projection`] says which events it reads and
//! how a batch of them changes its tables, [`worker`] follows the log with it, [`rebuild`] makes
//! it anew beside the live one and switches. Read models are disposable: their schema stands
//! here, beside the code that fills it, and not in `migrations/`.
//!
//! One more read model is one folder like [`orders`], and one line in [`ALL`].

mod projection;

pub mod rebuild;
pub mod worker;

pub mod orders;
pub mod products;

pub use projection::{ApplyError, Entry, Projection, prepare};

/// Every read model there is.
pub const ALL: &[&Projection] = &[&orders::ORDERS, &products::PRODUCTS];
