//! What events make of a user.

use std::collections::BTreeSet;

use domain::Event;
use domain::identity::{IdentityEvent, Standing};
use domain::ids::UserId;
use eventstore::StreamId;
use sqlx::PgConnection;

use super::queries::{Row, User, named};
use crate::document::{Change, Document};
use crate::projection::expect_rows;
use crate::{Entry, projection};

impl Document for User {
    type Id = UserId;

    fn parse(key: &str) -> Option<UserId> {
        key.parse().ok().map(UserId::new)
    }

    fn id(event: &Event) -> Option<UserId> {
        let Event::Identity(event) = event else { return None };
        match event {
            IdentityEvent::UserRegistered(event) => Some(event.user_id),
            IdentityEvent::EmailVerified(event) => Some(event.user_id),
            IdentityEvent::EmailChanged(event) => Some(event.user_id),
            IdentityEvent::UserSuspended(event) => Some(event.user_id),
            IdentityEvent::UserReinstated(event) => Some(event.user_id),
            IdentityEvent::UserDeactivated(event) => Some(event.user_id),
            IdentityEvent::RoleGranted(event) => Some(event.user_id),
            IdentityEvent::RoleWithdrawn(event) => Some(event.user_id),
            IdentityEvent::SessionStarted(event) => Some(event.user_id),
            _ => None,
        }
    }

    fn begins(event: &Event) -> bool {
        matches!(event, Event::Identity(IdentityEvent::UserRegistered(_)))
    }

    fn evolve(before: Option<Self>, entry: &Entry<'_>) -> Result<Option<Self>, &'static str> {
        let Event::Identity(event) = &entry.event else { return Ok(before) };
        match (before, event) {
            (None, IdentityEvent::UserRegistered(event)) => Ok(Some(Self {
                id: event.user_id,
                standing: Standing::Active,
                is_verified: event.is_verified,
                roles: BTreeSet::new(),
                registered_at: event.registered_at,
                registered: entry.recorded.position,
                last_login_at: None,
            })),
            (Some(_), IdentityEvent::UserRegistered(_)) => Err("the user is registered already"),
            (Some(user), event) => Ok(Some(changed(user, event, entry))),
            // Nothing is told of whoever starts a session of somebody else.
            (None, IdentityEvent::SessionStarted(event)) if !is_own(event.user_id, entry) => {
                Ok(None)
            }
            (None, _) => Err("nobody has registered the user"),
        }
    }

    async fn load(
        connection: &mut PgConnection,
        ids: &[UserId],
    ) -> Result<Vec<(UserId, Self)>, sqlx::Error> {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let rows = sqlx::query_as!(
            Row,
            "
            SELECT user_id, standing, is_verified, roles, registered_at, registered_position,
                   last_login_at
            FROM users
            WHERE user_id = ANY ($1)
            ",
            &ids,
        )
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|row| (UserId::new(row.user_id), row.into())).collect())
    }

    async fn store(
        connection: &mut PgConnection,
        changes: &[Change<Self>],
    ) -> Result<(), sqlx::Error> {
        let (new, known): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.before.is_none());
        let after = |changes: Vec<&Change<Self>>| -> Vec<Self> {
            changes.into_iter().filter_map(|change| change.after.clone()).collect()
        };
        insert(&mut *connection, &after(new)).await?;
        update(connection, &after(known)).await
    }

    fn streams(id: UserId) -> Vec<StreamId> {
        projection::streams(&["identity.user"], id.get())
    }
}

fn changed(mut user: User, event: &IdentityEvent, entry: &Entry<'_>) -> User {
    match event {
        IdentityEvent::EmailVerified(_) | IdentityEvent::EmailChanged(_) => user.is_verified = true,
        IdentityEvent::UserSuspended(_) => user.standing = Standing::Suspended,
        IdentityEvent::UserReinstated(_) => user.standing = Standing::Active,
        IdentityEvent::UserDeactivated(_) => user.standing = Standing::Deactivated,
        IdentityEvent::RoleGranted(event) => {
            user.roles.insert(event.role.to_string());
        }
        IdentityEvent::RoleWithdrawn(event) => {
            user.roles.remove(event.role.as_str());
        }
        // Of whoever starts one for somebody else the key is another: the row is not its to change.
        IdentityEvent::SessionStarted(event) if is_own(event.user_id, entry) => {
            user.last_login_at = user.last_login_at.max(Some(event.started_at));
        }
        _ => {}
    }
    user
}

/// Whether the events of `user` and this one take effect in order.
fn is_own(user: UserId, entry: &Entry<'_>) -> bool {
    super::user_of(entry.recorded) == user.to_string()
}

/// Rows as columns, as `unnest` takes them; roles as one text each, for arrays of arrays are matrices.
fn roles(users: &[User]) -> Vec<String> {
    users.iter().map(|user| Vec::from_iter(user.roles.clone()).join(" ")).collect()
}

async fn insert(connection: &mut PgConnection, users: &[User]) -> Result<(), sqlx::Error> {
    if users.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = users.iter().map(|user| user.id.get()).collect();
    let standings: Vec<_> = users.iter().map(|user| named(user.standing)).collect();
    let verified: Vec<_> = users.iter().map(|user| user.is_verified).collect();
    let times: Vec<_> = users.iter().map(|user| user.registered_at).collect();
    let positions: Vec<_> = users.iter().map(|user| user.registered.get()).collect();
    let logins: Vec<_> = users.iter().map(|user| user.last_login_at).collect();
    sqlx::query!(
        "
        INSERT INTO users
            (user_id, standing, is_verified, roles, registered_at, registered_position, last_login_at)
        SELECT id, standing, verified, string_to_array(roles, ' '), at, position, login
        FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::timestamptz[], $6::bigint[], $7::timestamptz[])
            AS new (id, standing, verified, roles, at, position, login)
        ",
        &ids,
        &standings as _,
        &verified,
        &roles(users),
        &times,
        &positions,
        &logins as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(connection: &mut PgConnection, users: &[User]) -> Result<(), sqlx::Error> {
    if users.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = users.iter().map(|user| user.id.get()).collect();
    let standings: Vec<_> = users.iter().map(|user| named(user.standing)).collect();
    let verified: Vec<_> = users.iter().map(|user| user.is_verified).collect();
    let logins: Vec<_> = users.iter().map(|user| user.last_login_at).collect();
    let updated = sqlx::query!(
        "
        UPDATE users
        SET standing = known.standing, is_verified = known.verified,
            roles = string_to_array(known.roles, ' '), last_login_at = known.login
        FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::timestamptz[])
            AS known (id, standing, verified, roles, login)
        WHERE user_id = known.id
        ",
        &ids,
        &standings as _,
        &verified,
        &roles(users),
        &logins as _,
    )
    .execute(connection)
    .await?;
    expect_rows(updated.rows_affected(), ids.len(), "users")
}
