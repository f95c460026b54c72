//! Organizations: the tenants, and who belongs to them.

pub mod messages;

mod close;
mod create;
mod events;
mod invitations;
mod members;
mod organization;
mod ownership;

pub use close::CloseOrganization;
pub use create::{CreateOrganization, RenameOrganization};
pub use events::{
    InvitationDeclined, InvitationWithdrawn, MemberInvited, MemberJoined, MemberLeft,
    MemberRemoved, MemberRoleChanged, OrganizationClosed, OrganizationCreated, OrganizationEvent,
    OrganizationRenamed, OwnershipTransferred,
};
pub use invitations::{AcceptInvitation, DeclineInvitation, InviteMember, WithdrawInvitation};
pub use members::{ChangeMemberRole, LeaveOrganization, RemoveMember};
pub use organization::{
    Charter, Invitation, MOST_INVITATIONS, MOST_MEMBERS, Organization, Rejection,
};
pub use ownership::TransferOwnership;

use crate::Stream;
use crate::ids::OrganizationId;

/// Category of the streams of organizations.
pub const ORGANIZATION: &str = "organizations.organization";

/// The stream of the organization `id`.
#[must_use]
pub const fn organization(id: OrganizationId) -> Stream {
    Stream::new(ORGANIZATION, id.get())
}
