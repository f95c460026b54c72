//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::problem::{Code, Problem};

/// Declares [`Permission`]; a permission is one line.
macro_rules! permissions {
    ($($(#[$doc:meta])* $permission:ident $name:literal,)+) => {
        /// What a route asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])* $permission,)+
        }

        impl Permission {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$permission,)+];

            /// Its name in the settings and in the description of the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$permission => $name,)+
                }
            }
        }
    };
}

permissions! {
    /// See products.
    ReadProducts "products.read",
    /// Offer products, and change what they are offered as.
    ManageProducts "products.manage",
    /// See orders.
    ReadOrders "orders.read",
    /// Place orders.
    PlaceOrders "orders.place",
    /// See what happened and what was when.
    Audit "audit.read",
    /// See how the read models are doing.
    ReadProjections "projections.read",
    /// Follow what happens.
    FollowEvents "events.follow",
    /// Read what the API is: its description, its problems.
    ReadDescription "description.read",
}

/// Who asks. There are no accounts yet: whoever reaches the listener is the same one.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// What events and command ids call it.
    actor: &'static str,
    granted: Grants,
}

/// What whoever reaches the listener may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants(Arc<BTreeSet<Permission>>);

impl Principal {
    pub(crate) const fn anonymous(granted: Grants) -> Self {
        Self { actor: "anonymous", granted }
    }

    pub(crate) const fn actor(&self) -> &'static str {
        self.actor
    }

    /// Refuses if it has not `permission`.
    pub(crate) fn check(&self, permission: Permission) -> Result<(), Problem> {
        if self.granted.0.contains(&permission) {
            return Ok(());
        }
        let detail = format!("It takes the permission `{permission}`.");
        Err(Problem::new(Code::Forbidden, detail))
    }
}

impl Grants {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(Arc::new(Permission::ALL.iter().copied().collect()))
    }

    /// What `names` name; `*` is everything.
    ///
    /// # Errors
    /// There is no permission of a name.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownPermission> {
        let mut granted = BTreeSet::new();
        for name in names {
            match name {
                "*" => granted.extend(Permission::ALL),
                name => {
                    granted.insert(name.parse()?);
                }
            }
        }
        Ok(Self(Arc::new(granted)))
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        let known = Self::ALL.iter().copied().find(|known| known.as_str() == name);
        known.ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission `{0}`; there are `{known}`", known = known())]
pub struct UnknownPermission(String);

fn known() -> String {
    let names: Vec<_> = Permission::ALL.iter().map(|known| known.as_str()).collect();
    names.join("`, `")
}
