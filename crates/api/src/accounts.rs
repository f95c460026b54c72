//! New accounts, and what is proved by mail: for who is not logged in.
//!
//! Nobody learns here who has an account: what is asked with an address is answered before it is known
//! whether somebody has it, or after the same work.

mod register;
mod reset_password;
mod verify_email;

use domain::values::Email;
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Fields, Shape};
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .post("/v1/users", register::operation(), register::register)
        .post("/v1/email-verifications", verify_email::operation(), verify_email::verify)
        .post(
            "/v1/email-verifications/requests",
            verify_email::request_operation(),
            verify_email::request,
        )
        .post("/v1/password-resets", reset_password::operation(), reset_password::reset)
        .post(
            "/v1/password-resets/requests",
            reset_password::request_operation(),
            reset_password::request,
        )
}

/// For which account.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ForAddress", deny_unknown_fields)]
struct ForAddress {
    email: Email,
}

impl Shape for ForAddress {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { email: fields.value("email")? })
    }
}

fn example_address() -> serde_json::Value {
    json!({"email": "ada@example.org"})
}
