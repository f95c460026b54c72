//! The read model of organizations: what they are called, and who belongs to them.

mod document;
mod queries;

pub use queries::{Listing, Membership, Organization, Page, list, of_member};

use crate::projection::id_of_stream;
use crate::{Projection, time_travel};

/// Organizations as their members see them.
pub const ORGANIZATIONS: Projection = Projection {
    name: "organizations",
    version: 1,
    schema: include_str!("organizations/v1.sql"),
    reads: &[
        "organizations.organization-created",
        "organizations.organization-renamed",
        "organizations.organization-closed",
        "organizations.ownership-transferred",
        "organizations.member-joined",
        "organizations.member-role-changed",
        "organizations.member-left",
        "organizations.member-removed",
    ],
    key: id_of_stream,
    apply: |connection, entries| {
        Box::pin(crate::document::apply::<Organization>(connection, entries))
    },
    as_of: Some(time_travel::json::<Organization>),
};
