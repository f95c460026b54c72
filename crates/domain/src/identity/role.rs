//! Roles: what they grant, and to whom they are granted.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IdentityEvent, Rejection, RoleDefined, RoleGranted, RoleRemoved, RoleWithdrawn, User};
use crate::ids::UserId;
use crate::{Aggregate, Aggregates, Decider, Event, Stream};

/// Declares names that are texts of a certain shape.
macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidRole;

            fn try_from(text: String) -> Result<Self, InvalidRole> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(InvalidRole) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug! {
    /// The name of a role: 1 to 64 lower-case letters, digits and hyphens, a letter first.
    RoleName, "^[a-z][a-z0-9-]{0,63}$", |text| {
        text.len() <= 64
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }
}
slug! {
    /// The name of a permission, for example `orders.read`; `*` is every one.
    PermissionName, "^(\\*|[a-z-]{1,32}\\.[a-z-]{1,32})$", |text| {
        let is_word = |word: &str| {
            (1..=32).contains(&word.len())
                && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'))
        };
        text == "*" || text.split_once('.').is_some_and(|(of, what)| is_word(of) && is_word(what))
    }
}

/// The text is no name of a role or a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role has up to 64 of a-z, 0-9 and -, a letter first; a permission is `of.what` or `*`")]
pub struct InvalidRole;

/// How far a permission goes; each reaches further than the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// What is the user's own.
    Own,
    /// What is of the user's organization.
    Organization,
    /// Everything.
    All,
}

/// A permission, and how far it goes.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub permission: PermissionName,
    /// With what.
    pub reach: Reach,
}

/// A role: what it grants, while there is one of its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(Option<BTreeSet<Grant>>);

/// Make a role, or say anew what it grants.
#[derive(Debug, Clone)]
pub struct DefineRole {
    /// Its name.
    pub role: RoleName,
    /// What it grants.
    pub grants: BTreeSet<Grant>,
}

/// Take a role away from everybody.
#[derive(Debug, Clone)]
pub struct RemoveRole {
    /// Its name.
    pub role: RoleName,
}

/// Grant a role to a user.
#[derive(Debug, Clone)]
pub struct GrantRole {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
    /// What it must grant, as it was looked at; whatever it grants if nobody did.
    pub seen: Option<BTreeSet<Grant>>,
}

/// Take a role from a user.
#[derive(Debug, Clone)]
pub struct WithdrawRole {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

impl Role {
    /// What it grants, if there is one.
    #[must_use]
    pub const fn grants(&self) -> Option<&BTreeSet<Grant>> {
        self.0.as_ref()
    }
}

impl Aggregate for Role {
    const CATEGORY: &'static str = super::ROLE;

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Identity(IdentityEvent::RoleDefined(defined)) => {
                Self(Some(defined.grants.clone()))
            }
            Event::Identity(IdentityEvent::RoleRemoved(_)) => Self(None),
            _ => self,
        }
    }

    fn heap_bytes(&self) -> usize {
        let grants = self.0.iter().flatten();
        grants.map(|grant| size_of_val(grant) + grant.permission.as_str().len()).sum()
    }
}

impl Decider for DefineRole {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::role(&self.role)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { role, grants } = self.clone();
        let known: Option<&Role> = aggregates.get(super::role(&role));
        if known.and_then(Role::grants) == Some(&grants) {
            return Ok(Vec::new());
        }
        Ok(vec![IdentityEvent::from(RoleDefined { role, grants }).into()])
    }
}

impl Decider for RemoveRole {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::role(&self.role)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { role } = self.clone();
        find(aggregates, &role)?;
        Ok(vec![IdentityEvent::from(RoleRemoved { role }).into()])
    }
}

impl Decider for GrantRole {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id), super::role(&self.role)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, role, seen } = self.clone();
        let account = User::find(aggregates, user_id)?;
        let known = find(aggregates, &role)?;
        if seen.is_some() && seen.as_ref() != known.grants() {
            return Err(Rejection::RoleChanged(role));
        }
        if account.roles.contains(&role) {
            return Ok(Vec::new());
        }
        Ok(vec![IdentityEvent::from(RoleGranted { user_id, role }).into()])
    }
}

impl Decider for WithdrawRole {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, role } = self.clone();
        if !User::find(aggregates, user_id)?.roles.contains(&role) {
            return Ok(Vec::new());
        }
        Ok(vec![IdentityEvent::from(RoleWithdrawn { user_id, role }).into()])
    }
}

fn find<'a>(aggregates: &'a Aggregates, name: &RoleName) -> Result<&'a Role, Rejection> {
    let role: Option<&Role> = aggregates.get(super::role(name));
    role.filter(|role| role.0.is_some()).ok_or_else(|| Rejection::NoRole(name.clone()))
}
