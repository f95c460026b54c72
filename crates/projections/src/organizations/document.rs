//! What events make of an organization.

use std::collections::BTreeMap;

use domain::Event;
use domain::ids::{OrganizationId, UserId};
use domain::organizations::{OrganizationCreated, OrganizationEvent, OwnershipTransferred};
use eventstore::StreamId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::queries::{Organization, Row};
use crate::document::{Change, Document};
use crate::{Entry, projection};

impl Document for Organization {
    type Id = OrganizationId;

    fn parse(key: &str) -> Option<OrganizationId> {
        key.parse().ok().map(OrganizationId::new)
    }

    fn id(event: &Event) -> Option<OrganizationId> {
        match event {
            Event::Organizations(event) => Some(event.organization_id()),
            Event::Catalog(_) | Event::Identity(_) | Event::Inventory(_) | Event::Ordering(_) => {
                None
            }
        }
    }

    fn begins(event: &Event) -> bool {
        matches!(event, Event::Organizations(OrganizationEvent::OrganizationCreated(_)))
    }

    fn evolve(before: Option<Self>, entry: &Entry<'_>) -> Result<Option<Self>, &'static str> {
        let Event::Organizations(event) = &entry.event else { return Ok(before) };
        match (before, event) {
            (None, OrganizationEvent::OrganizationCreated(event)) => {
                Ok(Some(created(event, entry)))
            }
            (Some(_), OrganizationEvent::OrganizationCreated(_)) => {
                Err("the organization is there already")
            }
            (Some(organization), event) => Ok(Some(changed(organization, event))),
            (None, _) => Err("nobody has created the organization"),
        }
    }

    async fn load(
        connection: &mut PgConnection,
        ids: &[OrganizationId],
    ) -> Result<Vec<(OrganizationId, Self)>, sqlx::Error> {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let rows = sqlx::query_as!(
            Row,
            "
            SELECT organization_id, name, owner, created_at, created_position, is_closed
            FROM organizations
            WHERE organization_id = ANY ($1)
            ",
            &ids,
        )
        .fetch_all(&mut *connection)
        .await?;
        let members = sqlx::query!(
            "SELECT organization_id, user_id, role FROM members WHERE organization_id = ANY ($1)",
            &ids,
        )
        .fetch_all(connection)
        .await?;
        let mut by_organization: BTreeMap<Uuid, BTreeMap<_, _>> = BTreeMap::new();
        for member in members {
            let members = by_organization.entry(member.organization_id).or_default();
            members.insert(UserId::new(member.user_id), member.role);
        }
        let documents = rows.into_iter().map(|row| {
            let members = by_organization.remove(&row.organization_id).unwrap_or_default();
            (OrganizationId::new(row.organization_id), row.organization(members))
        });
        Ok(documents.collect())
    }

    async fn store(
        connection: &mut PgConnection,
        changes: &[Change<Self>],
    ) -> Result<(), sqlx::Error> {
        let now: Vec<_> = changes.iter().filter_map(|change| change.after.as_ref()).collect();
        keep(&mut *connection, &now).await?;
        keep_members(connection, changes).await
    }

    fn streams(id: OrganizationId) -> Vec<StreamId> {
        projection::streams(&["organizations.organization"], id.get())
    }
}

fn created(event: &OrganizationCreated, entry: &Entry<'_>) -> Organization {
    Organization {
        id: event.organization_id,
        name: event.name.as_str().to_owned(),
        owner: event.owner_id,
        created_at: event.created_at,
        created: entry.recorded.position,
        is_closed: false,
        members: BTreeMap::from([(event.owner_id, None)]),
    }
}

fn changed(mut organization: Organization, event: &OrganizationEvent) -> Organization {
    let members = &mut organization.members;
    match event {
        OrganizationEvent::OrganizationRenamed(event) => {
            event.name.as_str().clone_into(&mut organization.name);
        }
        OrganizationEvent::OrganizationClosed(_) => {
            organization.is_closed = true;
            members.clear();
        }
        OrganizationEvent::OwnershipTransferred(OwnershipTransferred {
            from, to, role, ..
        }) => {
            members.insert(*from, Some(role.as_str().to_owned()));
            members.insert(*to, None);
            organization.owner = *to;
        }
        OrganizationEvent::MemberJoined(event) => {
            members.insert(event.user_id, Some(event.role.as_str().to_owned()));
        }
        OrganizationEvent::MemberRoleChanged(event) => {
            members.insert(event.user_id, Some(event.role.as_str().to_owned()));
        }
        OrganizationEvent::MemberLeft(event) => {
            members.remove(&event.user_id);
        }
        OrganizationEvent::MemberRemoved(event) => {
            members.remove(&event.user_id);
        }
        OrganizationEvent::OrganizationCreated(_)
        | OrganizationEvent::MemberInvited(_)
        | OrganizationEvent::InvitationWithdrawn(_)
        | OrganizationEvent::InvitationDeclined(_) => {}
    }
    organization
}

async fn keep(
    connection: &mut PgConnection,
    organizations: &[&Organization],
) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = organizations.iter().map(|known| known.id.get()).collect();
    let names: Vec<_> = organizations.iter().map(|known| known.name.as_str()).collect();
    let owners: Vec<_> = organizations.iter().map(|known| known.owner.get()).collect();
    let times: Vec<_> = organizations.iter().map(|known| known.created_at).collect();
    let positions: Vec<_> = organizations.iter().map(|known| known.created.get()).collect();
    let closed: Vec<_> = organizations.iter().map(|known| known.is_closed).collect();
    sqlx::query!(
        "
        INSERT INTO organizations (organization_id, name, owner, created_at, created_position, is_closed)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::bigint[], $6::boolean[])
        ON CONFLICT (organization_id) DO UPDATE
        SET name = excluded.name, owner = excluded.owner, is_closed = excluded.is_closed
        ",
        &ids,
        &names as _,
        &owners,
        &times,
        &positions,
        &closed,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes those who differ only: there may be a thousand who do not.
async fn keep_members(
    connection: &mut PgConnection,
    changes: &[Change<Organization>],
) -> Result<(), sqlx::Error> {
    let none = BTreeMap::new();
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for Change { id, before, after } in changes {
        let before = before.as_ref().map_or(&none, |known| &known.members);
        let after = after.as_ref().map_or(&none, |known| &known.members);
        let left = before.keys().filter(|user| !after.contains_key(user));
        gone.extend(left.map(|user| (id.get(), user.get())));
        let new = after.iter().filter(|(user, role)| before.get(user) != Some(role));
        kept.extend(new.map(|(user, role)| (id.get(), user.get(), role.as_deref())));
    }
    if !gone.is_empty() {
        let (organizations, users): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
        sqlx::query!(
            "
            DELETE FROM members AS m
            USING unnest($1::uuid[], $2::uuid[]) AS gone (organization_id, user_id)
            WHERE m.organization_id = gone.organization_id AND m.user_id = gone.user_id
            ",
            &organizations,
            &users,
        )
        .execute(&mut *connection)
        .await?;
    }
    if !kept.is_empty() {
        let organizations: Vec<_> = kept.iter().map(|(organization, _, _)| *organization).collect();
        let users: Vec<_> = kept.iter().map(|(_, user, _)| *user).collect();
        let roles: Vec<_> = kept.iter().map(|(_, _, role)| *role).collect();
        sqlx::query!(
            "
            INSERT INTO members (organization_id, user_id, role)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])
            ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role
            ",
            &organizations,
            &users,
            &roles as _,
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
