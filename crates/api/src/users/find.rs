//! `GET /v1/users`: users page by page, who has an address, or an id.

use application::identity::{Identity, UserShown};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::identity::{RoleName, Standing};
use domain::ids::UserId;
use domain::values::Email;
use projections::users::{self, Listing, USERS, User};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{UserBody, example};
use crate::cursor::Cursors;
use crate::operation::{Operation, Parameter};
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries};

const STANDINGS: &[&str] = &["active", "suspended", "deactivated"];

/// A user of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListedUser")]
pub(super) struct Item {
    #[serde(flatten)]
    user: UserBody,
    /// When the account was opened; null if that is not known yet, a moment after it was.
    registered_at: Option<DateTime<Utc>>,
    /// When the last session was started; null if none was, as far as is known.
    last_login_at: Option<DateTime<Utc>>,
}

pub(super) fn find_operation() -> Operation {
    let email = Parameter::query(
        "email",
        "Only whose address it is, whatever the case.",
        json!({"type": "string", "format": "email"}),
        Value::Null,
    );
    let role = Parameter::query(
        "role",
        "Only those who have this role.",
        json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"}),
        json!("clerk"),
    );
    let mut item = example();
    item["registered_at"] = json!("2026-11-21T10:15:30.123456Z");
    item["last_login_at"] = json!("2026-11-22T08:02:11.654321Z");
    Operation::query("listUsers", "Users, page by page", Permission::ReadUsers)
        .takes(email)
        .takes(Parameter::choice("standing", "Only those whose accounts stand so.", STANDINGS))
        .takes(role)
        .paged()
        .fresh()
        .shows::<PageBody<Item>>("Some of the users, the newest first.", json!({"items": [item]}))
}

pub(super) async fn find(
    State(identity): State<Identity>,
    State(queries): State<Queries>,
    State(cursors): State<Cursors>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<PageBody<Item>>, Problem> {
    let parameters = parameters.only(&["email", "standing", "role", "limit", "cursor"])?;
    let email = parameters.one("email", str::parse::<Email>)?;
    let standing = parameters.choice("standing", STANDINGS)?.map(named);
    let role = parameters.one("role", |role| RoleName::try_from(role.to_owned()))?;
    let listing = Listing { standing, role };
    let page = Page::of(&parameters, &cursors)?;
    let pool = queries.fresh(&USERS, None, min_position).await?;
    if let Some(email) = email {
        // As the log has it: whoever looks for one person is not to wait for a list.
        let Some(user) = identity.user_with(&email).await?.filter(|user| fits(user, &listing))
        else {
            return page.holds(Vec::new(), None).map(Json);
        };
        let listed = users::get(pool, user.id).await?;
        let registered_at = listed.as_ref().map(|listed| listed.registered_at);
        let last_login_at = listed.and_then(|listed| listed.last_login_at);
        let item = Item { user: user.into(), registered_at, last_login_at };
        return page.holds(vec![item], None).map(Json);
    }
    let found = users::list(pool, &listing, page.after, page.limit).await?;
    let ids: Vec<_> = found.users.iter().map(|user| user.id).collect();
    let mut opened = identity.users(&ids).await?;
    let items = found.users.into_iter();
    let items = items.filter_map(|user| Some(item(opened.remove(&user.id)?, user))).collect();
    page.holds(items, found.next).map(Json)
}

/// What is `opened` of a user, as of the moment that the list is of.
fn item(opened: UserShown, listed: User) -> Item {
    let User { standing, is_verified, registered_at, last_login_at, roles, .. } = listed;
    let roles = roles.into_iter().filter_map(|role| role.try_into().ok()).collect();
    let user = UserShown { standing, is_verified, roles, ..opened };
    Item { user: user.into(), registered_at: Some(registered_at), last_login_at }
}

fn fits(user: &UserShown, Listing { standing, role }: &Listing) -> bool {
    standing.is_none_or(|standing| standing == user.standing)
        && role.as_ref().is_none_or(|role| user.roles.contains(role))
}

fn named(standing: &str) -> Standing {
    match standing {
        "suspended" => Standing::Suspended,
        "deactivated" => Standing::Deactivated,
        _ => Standing::Active,
    }
}

pub(super) fn show_operation() -> Operation {
    Operation::query("showUser", "One user", Permission::ReadUsers)
        .takes(Parameter::id("The user."))
        .shows::<UserBody>("The user.", example())
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
) -> Result<Json<UserBody>, Problem> {
    let user = identity.user(id).await?;
    let user = user.ok_or_else(|| Problem::new(Code::NotFound, "No user has this id."))?;
    Ok(Json(user.into()))
}
