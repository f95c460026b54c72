//! Why a command was refused, over all contexts.

use crate::{catalog, identity, inventory, ordering, organizations};

/// A rule said no. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A rule of the catalog.
    #[error(transparent)]
    Catalog(#[from] catalog::Rejection),
    /// A rule of users, sessions and roles.
    #[error(transparent)]
    Identity(#[from] identity::Rejection),
    /// A rule of the inventory.
    #[error(transparent)]
    Inventory(#[from] inventory::Rejection),
    /// A rule of ordering.
    #[error(transparent)]
    Ordering(#[from] ordering::Rejection),
    /// A rule of organizations.
    #[error(transparent)]
    Organizations(#[from] organizations::Rejection),
}
