//! How somebody comes to belong to an organization.

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::RoleName;
use domain::ids::{InvitationId, OrganizationId, UserId};
use domain::organizations::{
    AcceptInvitation, DeclineInvitation, InviteMember, Rejection, WithdrawInvitation,
};
use domain::values::{Email, OrganizationName};
use eventstore::Receipt;
use eventstore::answer::within;

use super::Organizations;
use crate::CommandError;
use crate::command::Origin;
use crate::identity::{IdentityError, Secret};
use crate::ports::Recipient;

/// How long an invitation is valid.
pub(super) const VALID: TimeDelta = TimeDelta::days(7);

/// Most invitations that are shown to whoever is invited.
const MOST: i64 = 100;

/// An invitation that waits for an answer, as who is invited sees it.
#[derive(Debug, Clone)]
pub struct MyInvitation {
    /// The invitation.
    pub id: InvitationId,
    /// To what.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub organization: OrganizationName,
    /// As what.
    pub role: RoleName,
    /// By whom.
    pub invited_by: UserId,
    /// When it is over.
    pub expires_at: DateTime<Utc>,
}

/// What is to be mailed to who is invited.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Where to.
    pub to: Recipient,
    /// The name of the organization.
    pub organization: String,
    /// The name of who invites, if it may be told.
    pub invited_by: Option<String>,
    /// For how long.
    pub valid: TimeDelta,
}

impl Organizations {
    /// Invites whoever has `email`; an open invitation of that address is replaced.
    ///
    /// # Errors
    /// There is no such organization, or it is full.
    pub async fn invite(
        &self,
        origin: &Origin,
        (organization_id, invited_by): (OrganizationId, UserId),
        (email, role): (Email, RoleName),
    ) -> Result<(InvitationId, Receipt), IdentityError> {
        let bus = self.identity.bus();
        let address = self.identity.digest_of(&email)?;
        // The same invitation asked for again is the same one.
        let fresh = origin.command_id(bus.ids.next()).get();
        let invitation_id = InvitationId::new(fresh);
        let asked = ("invite-member", organization_id, email.clone(), role.clone());
        let invited_at = bus.clock.now();
        let expires_at = invited_at + VALID;
        let invite = InviteMember {
            organization_id,
            invitation_id,
            email,
            role,
            invited_by,
            invited_at,
            expires_at,
        };
        let secrets = [Secret::Invited {
            invitation: invitation_id,
            organization: organization_id,
            address: &address,
            expires_at,
        }];
        let receipt =
            self.change(origin, organization_id, &asked, Box::new(invite), &secrets).await?;
        Ok((invitation_id, receipt))
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// There is none.
    pub async fn withdraw(
        &self,
        origin: &Origin,
        organization_id: OrganizationId,
        invitation_id: InvitationId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("withdraw-invitation", organization_id, invitation_id);
        let withdraw = WithdrawInvitation { organization_id, invitation_id };
        let secrets = [Secret::InvitationOver { invitation: invitation_id }];
        self.change(origin, organization_id, &asked, Box::new(withdraw), &secrets).await
    }

    /// Makes `user_id` a member, who is invited.
    ///
    /// # Errors
    /// There is no such invitation of a proved address of that user, or it is over.
    pub async fn accept(
        &self,
        origin: &Origin,
        user_id: UserId,
        invitation_id: InvitationId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("accept-invitation", invitation_id);
        let organization_id = self.organization_of(invitation_id).await?;
        let accepted_at = self.identity.bus().clock.now();
        let accept = AcceptInvitation { organization_id, invitation_id, user_id, accepted_at };
        let secrets = [Secret::InvitationOver { invitation: invitation_id }];
        self.change(origin, organization_id, &asked, Box::new(accept), &secrets).await
    }

    /// Answers an invitation with no.
    ///
    /// # Errors
    /// As [`Organizations::accept`].
    pub async fn decline(
        &self,
        origin: &Origin,
        user_id: UserId,
        invitation_id: InvitationId,
    ) -> Result<Receipt, IdentityError> {
        let asked = ("decline-invitation", invitation_id);
        let organization_id = self.organization_of(invitation_id).await?;
        let declined_at = self.identity.bus().clock.now();
        let decline = DeclineInvitation { organization_id, invitation_id, user_id, declined_at };
        let secrets = [Secret::InvitationOver { invitation: invitation_id }];
        self.change(origin, organization_id, &asked, Box::new(decline), &secrets).await
    }

    /// The invitations that wait for an answer of `user_id`, the last to expire first; none as long as
    /// the address is not proved.
    ///
    /// # Errors
    /// The database cannot be reached, or keys of personal data are missing.
    pub async fn invitations_of(
        &self,
        user_id: UserId,
    ) -> Result<Vec<MyInvitation>, IdentityError> {
        let account = self.identity.account(user_id).await?;
        let account = account.filter(|account| account.is_verified);
        let Some(email) = account.as_ref().and_then(|account| account.email.value()) else {
            return Ok(Vec::new());
        };
        let (address, now) = (self.identity.digest_of(email)?, self.identity.bus().clock.now());
        let rows = sqlx::query!(
            "
            SELECT invitation_id, organization_id FROM identity.invitations
            WHERE address = $1 AND expires_at > $2 AND NOT is_over
            ORDER BY expires_at DESC
            LIMIT $3
            ",
            &address[..],
            now,
            MOST,
        );
        let rows = within(rows.fetch_all(self.identity.bus().store().pool())).await?;
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, organization_id) =
                (InvitationId::new(row.invitation_id), OrganizationId::new(row.organization_id));
            let Some(charter) = self.charter(organization_id).await? else { continue };
            let Some(invitation) = charter.invitations.get(&id) else { continue };
            shown.push(MyInvitation {
                id,
                organization_id,
                organization: charter.name,
                role: invitation.role.clone(),
                invited_by: invitation.invited_by,
                expires_at: invitation.expires_at,
            });
        }
        Ok(shown)
    }

    /// What is to be mailed because of an invitation; nothing if it is over.
    ///
    /// # Errors
    /// As [`Organizations::invitations_of`].
    pub async fn to_be_mailed(
        &self,
        organization_id: OrganizationId,
        invitation_id: InvitationId,
    ) -> Result<Option<Invited>, IdentityError> {
        let Some(charter) = self.charter(organization_id).await? else { return Ok(None) };
        let Some(invitation) = charter.invitations.get(&invitation_id) else { return Ok(None) };
        let valid = invitation.expires_at - self.identity.bus().clock.now();
        let email = invitation.email.value().filter(|_| valid > TimeDelta::zero());
        let Some(email) = email else { return Ok(None) };
        let inviter = self.identity.account(invitation.invited_by).await?;
        let inviter = inviter.filter(|account| account.is_verified);
        Ok(Some(Invited {
            to: Recipient { address: email.as_str().to_owned(), name: None },
            organization: charter.name.as_str().to_owned(),
            invited_by: inviter
                .as_ref()
                .and_then(|account| account.name.value())
                .map(ToString::to_string),
            valid,
        }))
    }

    /// To what an invitation is that may still be open.
    async fn organization_of(&self, id: InvitationId) -> Result<OrganizationId, IdentityError> {
        let known = sqlx::query_scalar!(
            "SELECT organization_id FROM identity.invitations WHERE invitation_id = $1",
            id.get(),
        );
        let known = within(known.fetch_optional(self.identity.bus().store().pool())).await?;
        let absent = || {
            let rejection = domain::Rejection::from(Rejection::NoInvitation(id));
            IdentityError::Command(CommandError::Rejected(rejection.into()))
        };
        known.map(OrganizationId::new).ok_or_else(absent)
    }
}
