//! Who belongs to an organization, and as what.

use super::{
    MemberLeft, MemberRemoved, MemberRoleChanged, Organization, OrganizationEvent, Rejection,
};
use crate::identity::RoleName;
use crate::ids::{OrganizationId, UserId};
use crate::{Aggregates, Decider, Event, Stream};

/// Give a member another role.
#[derive(Debug, Clone)]
pub struct ChangeMemberRole {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The member.
    pub user_id: UserId,
    /// The role.
    pub role: RoleName,
}

/// Make a member leave.
#[derive(Debug, Clone, Copy)]
pub struct RemoveMember {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The member.
    pub user_id: UserId,
}

/// Leave an organization.
#[derive(Debug, Clone, Copy)]
pub struct LeaveOrganization {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The member.
    pub user_id: UserId,
}

impl Decider for ChangeMemberRole {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, user_id, role } = self.clone();
        let charter = Organization::find(aggregates, organization_id)?;
        if *charter.member(user_id)? == role {
            return Ok(Vec::new());
        }
        let event = OrganizationEvent::from(MemberRoleChanged { organization_id, user_id, role });
        Ok(charter.without_invitations_of(organization_id, user_id, event))
    }
}

impl Decider for RemoveMember {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, user_id } = *self;
        let charter = Organization::find(aggregates, organization_id)?;
        charter.member(user_id)?;
        let event = OrganizationEvent::from(MemberRemoved { organization_id, user_id });
        Ok(charter.without_invitations_of(organization_id, user_id, event))
    }
}

impl Decider for LeaveOrganization {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, user_id } = *self;
        let charter = Organization::find(aggregates, organization_id)?;
        charter.member(user_id)?;
        let event = OrganizationEvent::from(MemberLeft { organization_id, user_id });
        Ok(charter.without_invitations_of(organization_id, user_id, event))
    }
}
