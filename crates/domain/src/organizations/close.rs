//! Organizations end.

use super::{Organization, OrganizationClosed, OrganizationEvent, Rejection};
use crate::ids::OrganizationId;
use crate::{Aggregates, Decider, Event, Stream};

/// Close an organization for good: nobody belongs to it any more. What happened in it stays.
#[derive(Debug, Clone, Copy)]
pub struct CloseOrganization {
    /// The organization.
    pub organization_id: OrganizationId,
}

impl Decider for CloseOrganization {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id } = *self;
        Organization::find(aggregates, organization_id)?;
        let event = OrganizationClosed { organization_id };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}
