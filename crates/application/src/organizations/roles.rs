//! The roles of organizations: data like every other, made with the first organization.
//!
//! Whatever a role grants, its member has it in the organization and no further.

use std::collections::BTreeSet;

use domain::Decision;
use domain::identity::{DefineRole, Grant, PermissionName, Reach, Role, RoleName, role};

use super::Organizations;
use crate::identity::IdentityError;

const OWNER: &str = "organization-owner";
const ADMIN: &str = "organization-admin";
const MEMBER: &str = "organization-member";

/// What each role grants when it is made.
const ROLES: [(&str, &[(&str, Reach)]); 3] = [
    (
        OWNER,
        &[
            ("organizations.own", Reach::Organization),
            ("organizations.manage", Reach::Organization),
            ("organizations.read", Reach::Organization),
            ("orders.read", Reach::Organization),
            ("orders.place", Reach::Organization),
        ],
    ),
    (
        ADMIN,
        &[
            ("organizations.manage", Reach::Organization),
            ("organizations.read", Reach::Organization),
            ("orders.read", Reach::Organization),
            ("orders.place", Reach::Organization),
        ],
    ),
    (
        MEMBER,
        &[
            ("organizations.read", Reach::Organization),
            ("orders.read", Reach::Own),
            ("orders.place", Reach::Own),
        ],
    ),
];

/// The role of the user whose an organization is. It changes hands with the ownership only.
#[must_use]
pub fn owner() -> RoleName {
    named(OWNER)
}

/// The role of who manages an organization.
#[must_use]
pub fn admin() -> RoleName {
    named(ADMIN)
}

/// The role of a plain member.
#[must_use]
pub fn member() -> RoleName {
    named(MEMBER)
}

#[expect(clippy::expect_used, reason = "the names of this module are names")]
fn named(name: &str) -> RoleName {
    RoleName::try_from(name.to_owned()).expect("a name of a role")
}

#[expect(clippy::expect_used, reason = "the permissions of this module are permissions")]
fn grants(of: &[(&str, Reach)]) -> BTreeSet<Grant> {
    let grant = |(permission, reach): &(&str, Reach)| Grant {
        permission: PermissionName::try_from((*permission).to_owned()).expect("a permission"),
        reach: *reach,
    };
    of.iter().map(grant).collect()
}

impl Organizations {
    /// What makes the roles that are not there yet.
    pub(super) async fn missing_roles(&self) -> Result<Vec<Box<dyn Decision>>, IdentityError> {
        let streams = ROLES.map(|(name, _)| role(&named(name)));
        let known = self.identity.bus().load(&streams).await?;
        // One that was removed stays removed.
        let missing =
            ROLES.into_iter().filter(|(name, _)| known.get::<Role>(role(&named(name))).is_none());
        let define = |(name, of): (&str, &[_])| -> Box<dyn Decision> {
            Box::new(DefineRole { role: named(name), grants: grants(of) })
        };
        Ok(missing.map(define).collect())
    }
}
