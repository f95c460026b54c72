//! What can be asked of the read model of users.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::identity::{RoleName, Standing};
use domain::ids::UserId;
use eventstore::Position;
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

/// A user, without what is personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The user.
    pub id: UserId,
    /// Whether the user may come in.
    pub standing: Standing,
    /// Whether the address is proved.
    pub is_verified: bool,
    /// What the user is granted.
    pub roles: BTreeSet<String>,
    /// When the account was opened.
    pub registered_at: DateTime<Utc>,
    /// Where the log says so; lists are in this order.
    pub registered: Position,
    /// When the last session was started, if one was.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// Which users are asked for.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only those whose accounts stand so.
    pub standing: Option<Standing>,
    /// Only those who have this role.
    pub role: Option<RoleName>,
}

/// Some of the users, the newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The users.
    pub users: Vec<User>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<i64>,
}

pub(super) struct Row {
    pub(super) user_id: Uuid,
    pub(super) standing: String,
    pub(super) is_verified: bool,
    pub(super) roles: Vec<String>,
    pub(super) registered_at: DateTime<Utc>,
    pub(super) registered_position: i64,
    pub(super) last_login_at: Option<DateTime<Utc>>,
}

/// The user `id`, if the read model knows one.
///
/// # Errors
/// The database cannot be reached.
pub async fn get(pool: &PgPool, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "
        SELECT user_id, standing, is_verified, roles, registered_at, registered_position,
               last_login_at
        FROM users_v1.users
        WHERE user_id = $1
        ",
        id.get(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(User::from))
}

/// At most `limit` users of `listing`, the newest first, beginning behind the one that was registered
/// at `after`.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(
    pool: &PgPool,
    listing: &Listing,
    after: Option<i64>,
    limit: u16,
) -> Result<Page, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        Row,
        "
        SELECT user_id, standing, is_verified, roles, registered_at, registered_position,
               last_login_at
        FROM users_v1.users
        WHERE ($1::bigint IS NULL OR registered_position < $1)
          AND ($2::text IS NULL OR standing = $2)
          AND ($3::text IS NULL OR roles @> ARRAY[$3])
        ORDER BY registered_position DESC
        LIMIT $4
        ",
        after,
        listing.standing.map(named),
        listing.role.as_ref().map(RoleName::as_str),
        i64::from(limit) + 1,
    )
    .fetch_all(pool)
    .await?;
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = rows.last().filter(|_| more).map(|row| row.registered_position);
    Ok(Page { users: rows.into_iter().map(User::from).collect(), next })
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        let standings = [Standing::Active, Standing::Suspended, Standing::Deactivated];
        let standing = standings.into_iter().find(|known| named(*known) == row.standing);
        Self {
            id: UserId::new(row.user_id),
            standing: standing.unwrap_or(Standing::Active),
            is_verified: row.is_verified,
            roles: row.roles.into_iter().collect(),
            registered_at: row.registered_at,
            registered: Position::new(row.registered_position),
            last_login_at: row.last_login_at,
        }
    }
}

/// Its name in the database.
pub(super) const fn named(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Suspended => "suspended",
        Standing::Deactivated => "deactivated",
    }
}
