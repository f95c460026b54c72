//! `/v1/users`: users, for operators.

mod find;
mod manage;
mod second_factor;

use std::collections::BTreeSet;

use application::identity::UserShown;
use domain::identity::{RoleName, Standing};
use domain::ids::UserId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/users", find::find_operation(), find::find)
        .get("/v1/users/{id}", find::show_operation(), find::show)
        .put("/v1/users/{id}/suspension", manage::suspend_operation(), manage::suspend)
        .delete("/v1/users/{id}/suspension", manage::reinstate_operation(), manage::reinstate)
        .put("/v1/users/{id}/closure", manage::close_operation(), manage::close)
        .delete("/v1/users/{id}/sessions", manage::end_sessions_operation(), manage::end_sessions)
        .delete("/v1/users/{id}/lock", manage::unlock_operation(), manage::unlock)
        .delete(
            "/v1/users/{id}/second-factor",
            second_factor::remove_operation(),
            second_factor::remove,
        )
        .put("/v1/users/{id}/roles/{role}", manage::grant_operation(), manage::grant)
        .delete("/v1/users/{id}/roles/{role}", manage::withdraw_operation(), manage::withdraw)
}

/// A user, as who may see it does.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(crate) struct UserBody {
    id: UserId,
    /// Null once it is erased.
    email: Option<String>,
    /// Whether the address is proved.
    is_verified: bool,
    /// The address that is wanted instead, and not proved yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted_email: Option<String>,
    /// Null once it is erased.
    name: Option<String>,
    #[schemars(with = "StandingName")]
    standing: Standing,
    roles: BTreeSet<RoleName>,
    /// Whether it takes a code besides the password to log in.
    has_second_factor: bool,
    /// How many codes for when the device is lost are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes_left: Option<u8>,
}

/// Whether a user may come in.
#[derive(JsonSchema)]
#[schemars(rename = "UserStanding", rename_all = "lowercase")]
#[expect(dead_code, reason = "describes how `Standing` is written")]
enum StandingName {
    Active,
    Suspended,
    Deactivated,
}

impl From<UserShown> for UserBody {
    fn from(user: UserShown) -> Self {
        let UserShown { id, email, is_verified, wanted, name, standing, roles, second_factor } =
            user;
        Self {
            id,
            email,
            is_verified,
            wanted_email: wanted,
            name,
            standing,
            roles,
            has_second_factor: second_factor.is_some(),
            recovery_codes_left: second_factor.map(|factor| factor.recovery_codes),
        }
    }
}

/// A user as the description of the API shows one.
pub(crate) fn example() -> Value {
    json!({
        "id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "email": "ada@example.org",
        "is_verified": true,
        "name": "Ada",
        "standing": "active",
        "roles": ["operator"],
        "has_second_factor": true,
        "recovery_codes_left": 9,
    })
}
