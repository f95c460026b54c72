//! Organizations, as their members use them.
//!
//! An invitation is no secret: whoever has proved the address that was invited finds it, and may accept
//! it. It is found by a keyed digest, which is written in the transaction of the append.
//!
//! Every event of this is of the organization as its tenant.

mod invitations;
mod members;
mod retention;
mod roles;

use domain::Decision;
use domain::ids::{OrganizationId, UserId};
use domain::organizations::{
    Charter, CloseOrganization, CreateOrganization, ORGANIZATION, Organization, RenameOrganization,
    TransferOwnership, organization,
};
use domain::values::OrganizationName;
use eventstore::Receipt;

use crate::CommandError;
use crate::command::{Command, Origin, written};
use crate::identity::{Identity, IdentityError, Secret};

pub use invitations::{Invited, MyInvitation};
pub use retention::erase_invitations;
pub use roles::{admin, member, owner};

/// Organizations. Clones share everything.
#[derive(Clone)]
pub struct Organizations {
    identity: Identity,
}

impl Organizations {
    /// Of the users of `identity`.
    #[must_use]
    pub const fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Creates an organization of `owner_id`. Roles of organizations that there are not are made first.
    ///
    /// # Errors
    /// As [`CommandBus::execute`](crate::CommandBus::execute).
    pub async fn create(
        &self,
        origin: &Origin,
        owner_id: UserId,
        name: OrganizationName,
    ) -> Result<(OrganizationId, Receipt), IdentityError> {
        let bus = self.identity.bus();
        let organization_id = OrganizationId::new(bus.ids.next());
        let asked = ("create-organization", name.clone());
        let created_at = bus.clock.now();
        let create = CreateOrganization { organization_id, name, owner_id, created_at };
        self.make_roles(origin).await?;
        let command = self.command(origin, organization_id, &asked, vec![Box::new(create)])?;
        let receipt = bus.execute(&command).await?;
        let id = written(&receipt, ORGANIZATION).map_or(organization_id, OrganizationId::new);
        Ok((id, receipt))
    }

    /// Calls an organization otherwise.
    ///
    /// # Errors
    /// There is none.
    pub async fn rename(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        name: OrganizationName,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("rename-organization", organization_id, name.clone());
        let rename = RenameOrganization { organization_id, name };
        self.change(origin, organization_id, &asked, Box::new(rename), &[]).await
    }

    /// Makes an organization another member's; the owner of before stays as an administrator.
    ///
    /// # Errors
    /// There is none, or `to` is no member.
    pub async fn transfer(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        to: UserId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("transfer-organization", organization_id, to);
        let transfer = TransferOwnership { organization_id, to, role: admin() };
        self.change(origin, organization_id, &asked, Box::new(transfer), &[]).await
    }

    /// Closes an organization for good. What happened in it stays.
    ///
    /// # Errors
    /// There is none.
    pub async fn close(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("close-organization", organization_id);
        let close = CloseOrganization { organization_id };
        let secrets = [Secret::OrganizationOver { organization: organization_id }];
        self.change(origin, organization_id, &asked, Box::new(close), &secrets).await
    }

    /// What holds in the organization `id`, if there is one that is not closed.
    ///
    /// # Errors
    /// The database cannot be reached, or keys of personal data are missing.
    pub async fn charter(&self, id: OrganizationId) -> Result<Option<Charter>, IdentityError> {
        let stream = organization(id);
        let aggregates = self.identity.bus().load(&[stream]).await?;
        let charter = aggregates.get::<Organization>(stream).and_then(Organization::charter);
        Ok(charter.filter(|charter| !charter.is_closed).cloned())
    }

    /// Makes the roles that are not there yet: they are of no organization.
    async fn make_roles(&self, origin: &Origin) -> Result<(), IdentityError> {
        let decisions = self.missing_roles().await?;
        if !decisions.is_empty() {
            let origin = Origin { tenant: None, idempotency_key: None, ..origin.clone() };
            let command = self.identity.command(&origin, &"make-roles", decisions)?;
            self.identity.bus().execute(&command).await?;
        }
        Ok(())
    }

    /// Appends what follows from `decision`, of the organization `id`.
    async fn change(
        &self,
        origin: &Origin,
        id: OrganizationId,
        asked: &impl serde::Serialize,
        decision: Box<dyn Decision>,
        secrets: &[Secret<'_>],
    ) -> Result<Receipt, IdentityError> {
        let command = self.command(origin, id, asked, vec![decision])?;
        if secrets.is_empty() {
            return Ok(self.identity.bus().execute(&command).await?);
        }
        // Decided again it might be refused: what it was about is not there any more.
        if let Some(receipt) = self.identity.repeated(origin, asked).await? {
            return Ok(receipt);
        }
        self.identity.execute(&command, secrets).await
    }

    fn command(
        &self,
        origin: &Origin,
        id: OrganizationId,
        asked: &impl serde::Serialize,
        decisions: Vec<Box<dyn Decision>>,
    ) -> Result<Command, CommandError> {
        let mut command = self.identity.command(origin, asked, decisions)?;
        command.given.metadata.tenant = Some(id.get());
        Ok(command)
    }
}
