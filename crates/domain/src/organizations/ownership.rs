//! Whose an organization is.

use super::{Organization, OrganizationEvent, OwnershipTransferred, Rejection};
use crate::identity::RoleName;
use crate::ids::{OrganizationId, UserId};
use crate::{Aggregates, Decider, Event, Stream};

/// Make an organization another member's.
#[derive(Debug, Clone)]
pub struct TransferOwnership {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Whose it shall be.
    pub to: UserId,
    /// As what the owner of before stays a member.
    pub role: RoleName,
}

impl Decider for TransferOwnership {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, to, role } = self.clone();
        let charter = Organization::find(aggregates, organization_id)?;
        if charter.owner == to {
            return Ok(Vec::new());
        }
        charter.member(to)?;
        let event = OwnershipTransferred { organization_id, from: charter.owner, to, role };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}
