//! `POST /v1/users`: open an account.

use application::identity::{Identity, Register};
use axum::extract::State;
use axum::http::StatusCode;
use domain::values::{Email, PersonName};
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::secret_text::SecretText;

/// Who wants an account.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Register", deny_unknown_fields)]
pub(super) struct Request {
    /// Unique whatever the case.
    email: Email,
    name: PersonName,
    /// 12 to 128 characters, and none of those that everybody takes.
    password: SecretText,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (email, name) = (fields.value("email"), fields.value("name"));
        let password = fields.value("password");
        Some(Self { email: email?, name: name?, password: password? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({
        "email": "ada@example.org",
        "name": "Ada",
        "password": "correct horse battery staple",
    });
    // It has no name: what a second command of that name is told would tell of the first.
    Operation::exchange("register", "Open an account", Permission::EnterAccount)
        .with_body::<Request>(example)
        .accepts("Mail is on its way to the address, whether it has an account already or not.")
        .refused_as(&[Code::WeakPassword, Code::Busy])
}

pub(super) async fn register(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Request>,
) -> Result<StatusCode, Problem> {
    let Request { email, name, password: SecretText(password) } = request;
    identity.register(&origin, Register { email, name, password }).await?;
    Ok(StatusCode::ACCEPTED)
}
