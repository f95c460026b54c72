//! Ids of aggregates, one type each so that they cannot be mixed up.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes `id` as the id of this kind of aggregate.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The bare id.
            #[must_use]
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A product of the catalog, and its stock in the inventory.
    ProductId
}
id! {
    /// An order, and its reservation in the inventory.
    OrderId
}
id! {
    /// Somebody who has an account.
    UserId
}
id! {
    /// A stay of a user: from a login to its end.
    SessionId
}
id! {
    /// An organization: a tenant, whose things others do not see.
    OrganizationId
}
id! {
    /// An invitation to an organization.
    InvitationId
}
id! {
    /// What lets a program in on behalf of a user.
    ApiKeyId
}
