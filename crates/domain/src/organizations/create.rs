//! Organizations begin, and are called something.

use chrono::{DateTime, Utc};

use super::{Organization, OrganizationCreated, OrganizationEvent, OrganizationRenamed, Rejection};
use crate::ids::{OrganizationId, UserId};
use crate::values::OrganizationName;
use crate::{Aggregates, Decider, Event, Stream};

/// Create an organization.
#[derive(Debug, Clone)]
pub struct CreateOrganization {
    /// The id it shall have.
    pub organization_id: OrganizationId,
    /// What people shall call it.
    pub name: OrganizationName,
    /// Whose it is.
    pub owner_id: UserId,
    /// Now.
    pub created_at: DateTime<Utc>,
}

/// Call an organization otherwise.
#[derive(Debug, Clone)]
pub struct RenameOrganization {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people shall call it.
    pub name: OrganizationName,
}

impl Decider for CreateOrganization {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, name, owner_id, created_at } = self.clone();
        let known: Option<&Organization> = aggregates.get(super::organization(organization_id));
        if known.and_then(Organization::charter).is_some() {
            return Err(Rejection::AlreadyCreated(organization_id));
        }
        let event = OrganizationCreated { organization_id, name, owner_id, created_at };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}

impl Decider for RenameOrganization {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, name } = self.clone();
        if Organization::find(aggregates, organization_id)?.name == name {
            return Ok(Vec::new());
        }
        let event = OrganizationRenamed { organization_id, name };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}
