//! Claims: values that only one stream may hold at a time, such as a SKU.

use crate::ids::UserId;

/// A value held by the stream of the event that takes it, unique within its `namespace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is unique, for example `catalog.sku`.
    pub namespace: &'static str,
    /// The value in the form in which two are the same if they are equal.
    pub value: String,
    /// Of whom it says something, if of anybody: then it is kept as a digest, and only until the
    /// subject is erased.
    pub subject: Option<UserId>,
}
