//! `GET /v1/users`: who has an address, or an id.

use application::identity::Identity;
use axum::Json;
use axum::extract::State;
use domain::ids::UserId;
use domain::values::Email;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{UserBody, example};
use crate::operation::{Operation, Parameter};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

/// Who was found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Users")]
pub(super) struct Body {
    items: Vec<UserBody>,
}

pub(super) fn find_operation() -> Operation {
    let schema = json!({"type": "string", "format": "email"});
    let email = Parameter::query(
        "email",
        "Whose address it is, whatever the case.",
        schema,
        json!("ada@example.org"),
    );
    Operation::query("findUsers", "Who has an address", Permission::ReadUsers)
        .takes(email.required())
        .shows::<Body>("The user, if there is one.", json!({"items": [example()]}))
}

pub(super) async fn find(
    State(identity): State<Identity>,
    parameters: Parameters,
) -> Result<Json<Body>, Problem> {
    let parameters = parameters.only(&["email"])?;
    let email = parameters.one("email", str::parse::<Email>)?;
    let email = email.ok_or_else(|| {
        Problem::new(Code::InvalidParameter, "Users are found by their address.")
            .field("email", "must be given")
    })?;
    let found = identity.user_with(&email).await?;
    Ok(Json(Body { items: found.into_iter().map(UserBody::from).collect() }))
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
