//! `/v1/organizations/{organization}/members`: who belongs to it, and as what.

use application::identity::Identity;
use application::organizations::Organizations;
use axum::extract::State;
use axum::{Extension, Json};
use domain::identity::{Grant, Reach, RoleName};
use domain::ids::{OrganizationId, UserId};
use domain::organizations::ORGANIZATION;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{absent, id, of_one, of_owner, role_schema};
use crate::body::{Body, Fields, Shape};
use crate::cursor::Cursors;
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

/// Who belongs to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub(super) struct Member {
    user_id: UserId,
    role: RoleName,
    /// Null once it is erased.
    name: Option<String>,
    /// Only for who manages the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

/// As what.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ChangeMember", deny_unknown_fields)]
pub(super) struct Change {
    role: RoleName,
}

impl Shape for Change {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { role: fields.value("role")? })
    }
}

pub(super) fn list_operation() -> Operation {
    let list = Operation::query(
        "listMembers",
        "Who belongs to an organization, page by page",
        Permission::ReadOrganizations,
    );
    let example = json!({"items": [{
        "user_id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "role": "organization-owner",
        "name": "Ada",
        "email": "ada@example.org",
    }]});
    of_one(list).paged().shows::<PageBody<Member>>("Some of the members, by id.", example)
}

pub(super) async fn list(
    State(organizations): State<Organizations>,
    State(identity): State<Identity>,
    State(cursors): State<Cursors>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<OrganizationId>,
    parameters: Parameters,
) -> Result<Json<PageBody<Member>>, Problem> {
    let parameters = parameters.only(&["limit", "cursor"])?;
    let page: Page<Uuid> = Page::of(&parameters, &cursors)?;
    let mut charter = organizations.charter(id).await?.ok_or_else(absent)?;
    charter.members.insert(charter.owner, of_owner());
    let behind = |user: &UserId| page.after.is_none_or(|after| user.get() > after);
    let limit = usize::from(page.limit);
    let mut members: Vec<_> =
        charter.members.into_iter().filter(|(user, _)| behind(user)).take(limit + 1).collect();
    let more = members.len() > limit;
    members.truncate(limit);
    let next = members.last().filter(|_| more).map(|(user, _)| user.get());
    let manages = principal.reach(Permission::ManageOrganizations) >= Some(Reach::Organization);
    let ids: Vec<_> = members.iter().map(|(user, _)| *user).collect();
    let mut users = identity.users(&ids).await?;
    let items = members.into_iter().map(|(user_id, role)| {
        let user = users.remove(&user_id);
        let (name, email) = user.map(|user| (user.name, user.email)).unwrap_or_default();
        Member { user_id, role, name, email: email.filter(|_| manages) }
    });
    page.holds(items.collect(), next).map(Json)
}

fn of_member(operation: Operation) -> Operation {
    of_one(operation).takes(id("user", "The member.")).refused_as(&[Code::Rejected])
}

pub(super) fn change_operation() -> Operation {
    let change = Operation::command(
        "changeMember",
        "Give a member another role",
        Permission::ManageOrganizations,
        Key::Optional,
    );
    of_member(change)
        .with_body::<Change>(json!({"role": role_schema()}))
        .changes("The member has this role, within a second.")
}

pub(super) async fn change(
    State(organizations): State<Organizations>,
    Extension(principal): Extension<Principal>,
    Path((organization, user)): Path<(OrganizationId, UserId)>,
    CommandOrigin(origin): CommandOrigin,
    Body(Change { role }): Body<Change>,
) -> Result<Changed, Problem> {
    check(&organizations, &principal, &role).await?;
    let receipt = organizations.change_role(&origin, organization, (user, role)).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

pub(super) fn remove_operation() -> Operation {
    let remove = Operation::command(
        "removeMember",
        "Make a member leave",
        Permission::ManageOrganizations,
        Key::Optional,
    );
    of_member(remove).changes("The user does not belong to it any more, within a second.")
}

pub(super) async fn remove(
    State(organizations): State<Organizations>,
    Path((organization, user)): Path<(OrganizationId, UserId)>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.remove(&origin, organization, user).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

/// Refuses a role that nobody may be given, or that grants more than who gives it has.
pub(super) async fn check(
    organizations: &Organizations,
    principal: &Principal,
    role: &RoleName,
) -> Result<(), Problem> {
    if *role == of_owner() {
        let detail = "The role of the owner changes hands with the organization.";
        return Err(Problem::new(Code::Rejected, detail));
    }
    let Some(grants) = organizations.grants(role).await? else {
        let problem = Problem::new(Code::InvalidBody, "Nothing was changed.");
        return Err(problem.field("/role", "there is no such role"));
    };
    // In an organization no role reaches further.
    let grants = grants.into_iter();
    let grants = grants.map(|grant| Grant { reach: grant.reach.min(Reach::Organization), ..grant });
    principal.check_grants(&grants.collect::<Vec<_>>())
}
