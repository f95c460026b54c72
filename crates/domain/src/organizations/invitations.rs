//! How somebody comes to belong to an organization.

use chrono::{DateTime, Utc};

use super::{
    Charter, InvitationDeclined, InvitationWithdrawn, MOST_INVITATIONS, MOST_MEMBERS,
    MemberInvited, MemberJoined, Organization, OrganizationEvent, Rejection,
};
use crate::identity::{RoleName, User};
use crate::ids::{InvitationId, OrganizationId, UserId};
use crate::values::{Email, Personal};
use crate::{Aggregates, Decider, Event, Stream, identity};

/// Invite whoever has an address. An invitation of the same address that is open is replaced.
#[derive(Debug, Clone)]
pub struct InviteMember {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The id the invitation shall have.
    pub invitation_id: InvitationId,
    /// Whom.
    pub email: Email,
    /// As what.
    pub role: RoleName,
    /// Who invites.
    pub invited_by: UserId,
    /// Now.
    pub invited_at: DateTime<Utc>,
    /// When it is over.
    pub expires_at: DateTime<Utc>,
}

/// Take an invitation back.
#[derive(Debug, Clone, Copy)]
pub struct WithdrawInvitation {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// Become a member.
#[derive(Debug, Clone, Copy)]
pub struct AcceptInvitation {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// Who was invited.
    pub user_id: UserId,
    /// Now.
    pub accepted_at: DateTime<Utc>,
}

/// Do not become a member.
#[derive(Debug, Clone, Copy)]
pub struct DeclineInvitation {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// Who was invited.
    pub user_id: UserId,
    /// Now.
    pub declined_at: DateTime<Utc>,
}

impl Decider for InviteMember {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self {
            organization_id,
            invitation_id,
            email,
            role,
            invited_by,
            invited_at,
            expires_at,
        } = self.clone();
        let charter = Organization::find(aggregates, organization_id)?;
        let same = |known: &Personal<Email>| {
            known.value().is_some_and(|known| known.unique_form() == email.unique_form())
        };
        let (replaced, others): (Vec<_>, Vec<_>) =
            charter.invitations.iter().partition(|(_, known)| same(&known.email));
        if others.iter().filter(|(_, known)| invited_at < known.expires_at).count()
            >= MOST_INVITATIONS
        {
            return Err(Rejection::TooManyInvitations);
        }
        if 1 + charter.members.len() >= MOST_MEMBERS {
            return Err(Rejection::TooManyMembers);
        }
        // Those that are over make room, so that the state stays as small as the limit says.
        let over = others.into_iter().filter(|(_, known)| known.expires_at <= invited_at);
        let withdrawn = replaced.into_iter().chain(over).map(|(id, _)| {
            OrganizationEvent::from(InvitationWithdrawn { organization_id, invitation_id: *id })
        });
        let mut events: Vec<Event> = withdrawn.map(Event::from).collect();
        // The one who is invited may have no account: the address is the invitation's own.
        let email = Personal::new(UserId::new(invitation_id.get()), email);
        let invited =
            MemberInvited { organization_id, invitation_id, email, role, invited_by, expires_at };
        events.push(OrganizationEvent::from(invited).into());
        Ok(events)
    }
}

impl Decider for WithdrawInvitation {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, invitation_id } = *self;
        let charter = Organization::find(aggregates, organization_id)?;
        if !charter.invitations.contains_key(&invitation_id) {
            return Err(Rejection::NoInvitation(invitation_id));
        }
        let event = InvitationWithdrawn { organization_id, invitation_id };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}

impl Decider for AcceptInvitation {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id), identity::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, invitation_id, user_id, accepted_at } = *self;
        let charter = Organization::find(aggregates, organization_id)?;
        let role = invited(charter, aggregates, (invitation_id, user_id), accepted_at)?;
        if charter.has(user_id) {
            return Err(Rejection::AlreadyMember(user_id));
        }
        if 1 + charter.members.len() >= MOST_MEMBERS {
            return Err(Rejection::TooManyMembers);
        }
        let event = MemberJoined { organization_id, user_id, role, invitation_id };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}

impl Decider for DeclineInvitation {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::organization(self.organization_id), identity::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { organization_id, invitation_id, user_id, declined_at } = *self;
        let charter = Organization::find(aggregates, organization_id)?;
        invited(charter, aggregates, (invitation_id, user_id), declined_at)?;
        let event = InvitationDeclined { organization_id, invitation_id };
        Ok(vec![OrganizationEvent::from(event).into()])
    }
}

/// As what `user` is invited, whose proved address is the one that was invited.
///
/// # Errors
/// It is another's invitation, or over: which of it is not told.
fn invited(
    charter: &Charter,
    aggregates: &Aggregates,
    (id, user): (InvitationId, UserId),
    now: DateTime<Utc>,
) -> Result<RoleName, Rejection> {
    let invitation = charter.open(id, now)?;
    let account = aggregates.get::<User>(identity::user(user)).and_then(User::account);
    let own =
        account.filter(|account| account.is_verified).and_then(|account| account.email.value());
    let is_same = own
        .zip(invitation.email.value())
        .is_some_and(|(own, invited)| own.unique_form() == invited.unique_form());
    if is_same { Ok(invitation.role.clone()) } else { Err(Rejection::NoInvitation(id)) }
}
