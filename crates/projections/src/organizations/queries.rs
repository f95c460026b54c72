//! What can be asked of the read model of organizations.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::{OrganizationId, UserId};
use eventstore::Position;
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::Tenant;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub owner: UserId,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Where the log says so; lists are in this order.
    pub created: Position,
    /// Whether it is closed for good.
    pub is_closed: bool,
    /// Who belongs to it, each with a role but for the owner.
    pub members: BTreeMap<UserId, Option<String>>,
}

/// How a user belongs to an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// To which.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// As what; nothing of the owner.
    pub role: Option<String>,
}

/// Which organizations are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Only these.
    pub tenant: Tenant,
}

/// Some of the organizations, the newest first, without their members.
#[derive(Debug, Clone)]
pub struct Page {
    /// The organizations.
    pub organizations: Vec<Organization>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<i64>,
}

pub(super) struct Row {
    pub(super) organization_id: Uuid,
    pub(super) name: String,
    pub(super) owner: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) created_position: i64,
    pub(super) is_closed: bool,
}

impl Row {
    pub(super) fn organization(self, members: BTreeMap<UserId, Option<String>>) -> Organization {
        Organization {
            id: OrganizationId::new(self.organization_id),
            name: self.name,
            owner: UserId::new(self.owner),
            created_at: self.created_at,
            created: Position::new(self.created_position),
            is_closed: self.is_closed,
            members,
        }
    }
}

/// The organizations that `user` belongs to, by name; at most a thousand.
///
/// # Errors
/// The database cannot be reached.
pub async fn of_member(pool: &PgPool, user: UserId) -> Result<Vec<Membership>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT organization_id, name, role
        FROM set_config('annals.tenant', $2, true) AS tenant (told), LATERAL (
            SELECT o.organization_id, o.name, m.role
            FROM organizations_v1.members AS m
            JOIN organizations_v1.organizations AS o ON o.organization_id = m.organization_id
            WHERE told IS NOT NULL AND m.user_id = $1
            ORDER BY o.name, o.organization_id
            LIMIT 1000
        ) AS seen
        ORDER BY name, organization_id
        "#,
        user.get(),
        Tenant::All.to_string(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Membership {
            organization: OrganizationId::new(row.organization_id),
            name: row.name,
            role: row.role,
        })
        .collect())
}

/// At most `limit` organizations that are not closed, beginning behind the one that was created at `after`.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(
    pool: &PgPool,
    listing: Listing,
    after: Option<i64>,
    limit: u16,
) -> Result<Page, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        Row,
        r#"
        SELECT organization_id, name, owner, created_at, created_position, is_closed
        FROM set_config('annals.tenant', $3, true) AS tenant (told), LATERAL (
            SELECT * FROM organizations_v1.organizations
            WHERE told IS NOT NULL AND NOT is_closed
                AND ($1::bigint IS NULL OR created_position < $1)
            ORDER BY created_position DESC
            LIMIT $2
        ) AS seen
        ORDER BY created_position DESC
        "#,
        after,
        i64::from(limit) + 1,
        listing.tenant.to_string(),
    )
    .fetch_all(pool)
    .await?;
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = rows.last().filter(|_| more).map(|row| row.created_position);
    let organizations = rows.into_iter().map(|row| row.organization(BTreeMap::new())).collect();
    Ok(Page { organizations, next })
}
