//! What happens to organizations.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Stream;
use crate::identity::RoleName;
use crate::ids::{InvitationId, OrganizationId, UserId};
use crate::payload::payloads;
use crate::values::{Email, OrganizationName, Personal};

payloads! {
    /// Events of organizations.
    OrganizationEvent {
        OrganizationCreated = "organizations.organization-created" v 1,
        OrganizationRenamed = "organizations.organization-renamed" v 1,
        OrganizationClosed = "organizations.organization-closed" v 1,
        OwnershipTransferred = "organizations.ownership-transferred" v 1,
        MemberInvited = "organizations.member-invited" v 1,
        InvitationWithdrawn = "organizations.invitation-withdrawn" v 1,
        InvitationDeclined = "organizations.invitation-declined" v 1,
        MemberJoined = "organizations.member-joined" v 1,
        MemberRoleChanged = "organizations.member-role-changed" v 1,
        MemberLeft = "organizations.member-left" v 1,
        MemberRemoved = "organizations.member-removed" v 1,
    }
}

/// There is an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationCreated {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: OrganizationName,
    /// Whose it is.
    pub owner_id: UserId,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The organization is called otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationRenamed {
    /// The organization.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: OrganizationName,
}

/// The organization is closed for good; nobody belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationClosed {
    /// The organization.
    pub organization_id: OrganizationId,
}

/// The organization is another member's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnershipTransferred {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Whose it was.
    pub from: UserId,
    /// Whose it is.
    pub to: UserId,
    /// As what the owner of before stays a member.
    pub role: RoleName,
}

/// Somebody is invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberInvited {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// Whoever has proved to have this address. Nobody may have an account with it, so it is sealed
    /// under a key of the invitation's own.
    pub email: Personal<Email>,
    /// As what.
    pub role: RoleName,
    /// By which user.
    pub invited_by: UserId,
    /// When the invitation is over.
    pub expires_at: DateTime<Utc>,
}

/// The invitation is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitationWithdrawn {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// Whoever was invited does not want to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitationDeclined {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The invitation.
    pub invitation_id: InvitationId,
}

/// Whoever was invited is a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberJoined {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
    /// As what.
    pub role: RoleName,
    /// By which invitation.
    pub invitation_id: InvitationId,
}

/// The member has another role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRoleChanged {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
    /// Which.
    pub role: RoleName,
}

/// The member has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberLeft {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
}

/// The member was made to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRemoved {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
}

impl OrganizationEvent {
    /// The organization it happened to.
    #[must_use]
    pub const fn organization_id(&self) -> OrganizationId {
        match self {
            Self::OrganizationCreated(event) => event.organization_id,
            Self::OrganizationRenamed(event) => event.organization_id,
            Self::OrganizationClosed(event) => event.organization_id,
            Self::OwnershipTransferred(event) => event.organization_id,
            Self::MemberInvited(event) => event.organization_id,
            Self::InvitationWithdrawn(event) => event.organization_id,
            Self::InvitationDeclined(event) => event.organization_id,
            Self::MemberJoined(event) => event.organization_id,
            Self::MemberRoleChanged(event) => event.organization_id,
            Self::MemberLeft(event) => event.organization_id,
            Self::MemberRemoved(event) => event.organization_id,
        }
    }

    pub(crate) const fn stream(&self) -> Stream {
        super::organization(self.organization_id())
    }
}
