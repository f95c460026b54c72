//! The organization aggregate: who belongs to it, and who is invited.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    InvitationWithdrawn, MemberInvited, MemberJoined, MemberRoleChanged, OrganizationEvent,
    OwnershipTransferred,
};
use crate::identity::RoleName;
use crate::ids::{InvitationId, OrganizationId, UserId};
use crate::values::{Email, OrganizationName, Personal};
use crate::{Aggregate, Aggregates, Event};

/// Most members of an organization, its owner among them: all of them are one state.
pub const MOST_MEMBERS: usize = 1_000;

/// Most invitations that are open at a time.
pub const MOST_INVITATIONS: usize = 100;

/// An organization: its charter, while there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Organization(Option<Charter>);

/// What holds in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// What people call it.
    pub name: OrganizationName,
    /// Whose it is.
    pub owner: UserId,
    /// Who else belongs to it, each with a role.
    pub members: BTreeMap<UserId, RoleName>,
    /// Who is invited. Some of them may be over.
    pub invitations: BTreeMap<InvitationId, Invitation>,
    /// Whether it is closed for good.
    pub is_closed: bool,
}

/// An invitation that was neither accepted, declined nor withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// To whom.
    pub email: Personal<Email>,
    /// As what.
    pub role: RoleName,
    /// By whom.
    pub invited_by: UserId,
    /// When it is over.
    pub expires_at: DateTime<Utc>,
}

/// Why a command on organizations was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The id is in use.
    #[error("organization {0} is there already")]
    AlreadyCreated(OrganizationId),
    /// There is none of this id, or it is closed.
    #[error("there is no organization {0}")]
    NoOrganization(OrganizationId),
    /// The user does not belong to it.
    #[error("user {0} is no member")]
    NoMember(UserId),
    /// The user belongs to it.
    #[error("user {0} is a member already")]
    AlreadyMember(UserId),
    /// An owner cannot go, or be another thing, before somebody else is the owner.
    #[error("user {0} is the owner: transfer the ownership first")]
    IsOwner(UserId),
    /// It was never sent, or is over.
    #[error("there is no invitation {0}")]
    NoInvitation(InvitationId),
    /// More than [`MOST_MEMBERS`].
    #[error("an organization has at most {MOST_MEMBERS} members")]
    TooManyMembers,
    /// More than [`MOST_INVITATIONS`].
    #[error("at most {MOST_INVITATIONS} invitations are open at a time")]
    TooManyInvitations,
}

impl Organization {
    /// The charter, if there is an organization, closed or not.
    #[must_use]
    pub const fn charter(&self) -> Option<&Charter> {
        self.0.as_ref()
    }

    /// The charter of the organization `id`.
    ///
    /// # Errors
    /// There is none, or it is closed.
    pub(super) fn find(aggregates: &Aggregates, id: OrganizationId) -> Result<&Charter, Rejection> {
        let known: Option<&Self> = aggregates.get(super::organization(id));
        let charter = known.and_then(Self::charter).filter(|charter| !charter.is_closed);
        charter.ok_or(Rejection::NoOrganization(id))
    }
}

impl Charter {
    /// Whether `user` belongs to it.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        !self.is_closed && (self.owner == user || self.members.contains_key(&user))
    }

    /// The invitation `id`, if it can be accepted at `now`.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn open(
        &self,
        id: InvitationId,
        now: DateTime<Utc>,
    ) -> Result<&Invitation, Rejection> {
        let known = self.invitations.get(&id).filter(|invitation| now < invitation.expires_at);
        known.ok_or(Rejection::NoInvitation(id))
    }

    /// How the member `user` stands who is not the owner.
    ///
    /// # Errors
    /// The user is no member, or the owner.
    pub(super) fn member(&self, user: UserId) -> Result<&RoleName, Rejection> {
        if self.owner == user {
            return Err(Rejection::IsOwner(user));
        }
        self.members.get(&user).ok_or(Rejection::NoMember(user))
    }

    /// `event`, and that whoever `user` has invited is not any more: what he may not do now he shall not
    /// have done in advance.
    pub(super) fn without_invitations_of(
        &self,
        organization_id: OrganizationId,
        user: UserId,
        event: OrganizationEvent,
    ) -> Vec<Event> {
        let invited = self.invitations.iter().filter(|(_, known)| known.invited_by == user);
        let withdrawn = invited.map(|(id, _)| {
            OrganizationEvent::from(InvitationWithdrawn { organization_id, invitation_id: *id })
        });
        std::iter::once(event).chain(withdrawn).map(Event::from).collect()
    }

    fn evolve(mut self, event: &OrganizationEvent) -> Self {
        match event {
            OrganizationEvent::OrganizationCreated(_) => {}
            OrganizationEvent::OrganizationRenamed(renamed) => self.name = renamed.name.clone(),
            OrganizationEvent::OrganizationClosed(_) => {
                self.is_closed = true;
                self.members.clear();
                self.invitations.clear();
            }
            OrganizationEvent::OwnershipTransferred(OwnershipTransferred {
                from,
                to,
                role,
                ..
            }) => {
                self.members.remove(to);
                self.members.insert(*from, role.clone());
                self.owner = *to;
            }
            OrganizationEvent::MemberInvited(invited) => {
                let MemberInvited { invitation_id, email, role, invited_by, expires_at, .. } =
                    invited.clone();
                let invitation = Invitation { email, role, invited_by, expires_at };
                self.invitations.insert(invitation_id, invitation);
            }
            OrganizationEvent::InvitationWithdrawn(event) => self.forget(event.invitation_id),
            OrganizationEvent::InvitationDeclined(event) => self.forget(event.invitation_id),
            OrganizationEvent::MemberJoined(MemberJoined {
                user_id, role, invitation_id, ..
            }) => {
                self.forget(*invitation_id);
                self.members.insert(*user_id, role.clone());
            }
            OrganizationEvent::MemberRoleChanged(MemberRoleChanged { user_id, role, .. }) => {
                self.members.insert(*user_id, role.clone());
            }
            OrganizationEvent::MemberLeft(event) => self.lose(event.user_id),
            OrganizationEvent::MemberRemoved(event) => self.lose(event.user_id),
        }
        self
    }

    fn forget(&mut self, invitation: InvitationId) {
        self.invitations.remove(&invitation);
    }

    fn lose(&mut self, user: UserId) {
        self.members.remove(&user);
    }
}

impl Aggregate for Organization {
    const CATEGORY: &'static str = super::ORGANIZATION;

    fn evolve(self, event: &Event) -> Self {
        let Event::Organizations(event) = event else { return self };
        if let OrganizationEvent::OrganizationCreated(created) = event {
            return Self(Some(Charter {
                name: created.name.clone(),
                owner: created.owner_id,
                members: BTreeMap::new(),
                invitations: BTreeMap::new(),
                is_closed: false,
            }));
        }
        Self(self.0.map(|charter| charter.evolve(event)))
    }

    fn heap_bytes(&self) -> usize {
        let text = |charter: &Charter| {
            let roles = charter
                .members
                .values()
                .map(|role| size_of::<UserId>() + size_of_val(role) + role.as_str().len());
            let invitations = charter.invitations.values().map(|invitation| {
                let email = invitation.email.value().map_or(0, |email| email.as_str().len());
                size_of_val(invitation) + invitation.role.as_str().len() + email
            });
            charter.name.as_str().len() + roles.chain(invitations).sum::<usize>()
        };
        self.0.as_ref().map_or(0, text)
    }
}
