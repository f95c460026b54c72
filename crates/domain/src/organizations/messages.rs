//! What is told of organizations: who belongs to them by id; nothing personal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OrganizationEvent;
use crate::identity::RoleName;
use crate::ids::{InvitationId, OrganizationId, UserId};
use crate::payload::public_payloads;
use crate::values::OrganizationName;

public_payloads! {
    /// Messages of organizations.
    OrganizationMessage {
        OrganizationCreated = "organizations.organization-created" v 1,
        OrganizationRenamed = "organizations.organization-renamed" v 1,
        OrganizationClosed = "organizations.organization-closed" v 1,
        OwnershipTransferred = "organizations.ownership-transferred" v 1,
        MemberInvited = "organizations.member-invited" v 1,
        MemberJoined = "organizations.member-joined" v 1,
        MemberRoleChanged = "organizations.member-role-changed" v 1,
        MemberLeft = "organizations.member-left" v 1,
    }
}

/// There is an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationCreated {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: OrganizationName,
    /// Whose it is.
    pub owner_id: UserId,
}

/// The organization is called otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationRenamed {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: OrganizationName,
}

/// The organization is closed for good; nobody belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationClosed {
    /// The organization.
    pub organization_id: OrganizationId,
}

/// The organization is another member's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnershipTransferred {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Whose it was, who stays a member.
    pub from: UserId,
    /// Whose it is.
    pub to: UserId,
}

/// Somebody is invited, and is to be mailed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberInvited {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// As what.
    pub role: RoleName,
}

/// The user is a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberJoined {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
    /// As what.
    pub role: RoleName,
}

/// The member has another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberRoleChanged {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
    /// Which.
    pub role: RoleName,
}

/// The user is no member any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberLeft {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
}

impl OrganizationMessage {
    /// What the public learns of `event`.
    #[must_use]
    pub fn of(event: &OrganizationEvent) -> Option<Self> {
        let organization_id = event.organization_id();
        Some(match event {
            OrganizationEvent::OrganizationCreated(event) => {
                let (name, owner_id) = (event.name.clone(), event.owner_id);
                OrganizationCreated { organization_id, name, owner_id }.into()
            }
            OrganizationEvent::OrganizationRenamed(event) => {
                OrganizationRenamed { organization_id, name: event.name.clone() }.into()
            }
            OrganizationEvent::OrganizationClosed(_) => {
                OrganizationClosed { organization_id }.into()
            }
            OrganizationEvent::OwnershipTransferred(event) => {
                OwnershipTransferred { organization_id, from: event.from, to: event.to }.into()
            }
            OrganizationEvent::MemberInvited(event) => {
                let (invitation_id, role) = (event.invitation_id, event.role.clone());
                MemberInvited { organization_id, invitation_id, role }.into()
            }
            OrganizationEvent::MemberJoined(event) => {
                let (user_id, role) = (event.user_id, event.role.clone());
                MemberJoined { organization_id, user_id, role }.into()
            }
            OrganizationEvent::MemberRoleChanged(event) => {
                let (user_id, role) = (event.user_id, event.role.clone());
                MemberRoleChanged { organization_id, user_id, role }.into()
            }
            OrganizationEvent::MemberLeft(event) => {
                MemberLeft { organization_id, user_id: event.user_id }.into()
            }
            OrganizationEvent::MemberRemoved(event) => {
                MemberLeft { organization_id, user_id: event.user_id }.into()
            }
            OrganizationEvent::InvitationWithdrawn(_)
            | OrganizationEvent::InvitationDeclined(_) => return None,
        })
    }
}
