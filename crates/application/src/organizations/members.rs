//! Who belongs to an organization.

use std::collections::BTreeSet;

use domain::identity::{Grant, Role, RoleName, role};
use domain::ids::{OrganizationId, UserId};
use domain::organizations::{ChangeMemberRole, LeaveOrganization, RemoveMember};
use eventstore::Receipt;

use super::Organizations;
use crate::command::Origin;
use crate::identity::IdentityError;

impl Organizations {
    /// Gives a member another role.
    ///
    /// # Errors
    /// There is no such member, or it is the owner.
    pub async fn change_role(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        (user_id, role): (UserId, RoleName),
    ) -> Result<Receipt, IdentityError> {
        let asked = ("change-member-role", organization_id, user_id, role.clone());
        let change = ChangeMemberRole { organization_id, user_id, role };
        self.change(origin, organization_id, &asked, Box::new(change), &[]).await
    }

    /// Makes a member leave.
    ///
    /// # Errors
    /// There is no such member, or it is the owner.
    pub async fn remove(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("remove-member", organization_id, user_id);
        let remove = RemoveMember { organization_id, user_id };
        self.change(origin, organization_id, &asked, Box::new(remove), &[]).await
    }

    /// Leaves an organization.
    ///
    /// # Errors
    /// The user is no member, or the owner.
    pub async fn leave(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("leave-organization", organization_id, user_id);
        let leave = LeaveOrganization { organization_id, user_id };
        self.change(origin, organization_id, &asked, Box::new(leave), &[]).await
    }

    /// What the role `name` grants, as the log has it now; nothing if there is none.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn grants(&self, name: &RoleName) -> Result<Option<BTreeSet<Grant>>, IdentityError> {
        let known = self.identity.bus().load(&[role(name)]).await?;
        Ok(known.get::<Role>(role(name)).and_then(Role::grants).cloned())
    }
}
