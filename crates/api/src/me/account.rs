//! `/v1/me`: what is known of the user who asks, and what the user changes of it.

use application::identity::{ChangeEmail, ChangePassword, Identity};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::identity::USER;
use domain::values::{Email, PersonName};
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;
use crate::secret_text::SecretText;
use crate::users::{self, UserBody};

const OWN: Permission = Permission::OwnAccount;

pub(super) fn show_operation() -> Operation {
    Operation::query("showMe", "Who I am", OWN)
        .shows::<UserBody>("The user who asks.", users::example())
}

pub(super) async fn show(
    State(identity): State<Identity>,
    signed_in: SignedIn,
) -> Result<Json<UserBody>, Problem> {
    let user = identity.user(signed_in.user).await?;
    let user = user.ok_or_else(|| Problem::new(Code::NotFound, "The user is not there."))?;
    Ok(Json(user.into()))
}

/// What people shall call the user.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ChangeProfile", deny_unknown_fields)]
pub(super) struct Profile {
    name: PersonName,
}

impl Shape for Profile {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { name: fields.value("name")? })
    }
}

pub(super) fn profile_operation() -> Operation {
    Operation::command("changeProfile", "Be called otherwise", OWN, Key::Optional)
        .with_body::<Profile>(json!({"name": "Ada"}))
        .changes("This is the name now.")
        .refused_as(&[Code::Rejected, Code::NotFound])
}

pub(super) async fn change_profile(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(Profile { name }): Body<Profile>,
) -> Result<Changed, Problem> {
    let receipt = identity.change_profile(&origin, signed_in.user, name).await?;
    Ok(Changed { category: USER, receipt })
}

/// The address that is wanted, and the password.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ChangeEmail", deny_unknown_fields)]
pub(super) struct Address {
    email: Email,
    password: SecretText,
}

impl Shape for Address {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (email, password) = (fields.value("email"), fields.value("password"));
        Some(Self { email: email?, password: password? })
    }
}

pub(super) fn email_operation() -> Operation {
    let example =
        json!({"email": "ada@mail.example.org", "password": "correct horse battery staple"});
    Operation::command("changeEmail", "Want another address", OWN, Key::Optional)
        .with_body::<Address>(example)
        .accepts(
            "Mail is on its way there; until it is proved, the address of before is the user's.",
        )
        .refused_as(&[Code::LoginFailed, Code::Rejected, Code::NotFound, Code::Busy])
}

pub(super) async fn change_email(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Address>,
) -> Result<StatusCode, Problem> {
    let Address { email, password: SecretText(password) } = request;
    let asked = ChangeEmail { user: signed_in.user, password, email };
    identity.change_email(&origin, asked).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The password until now, and the one from now on.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ChangePassword", deny_unknown_fields)]
pub(super) struct Password {
    current: SecretText,
    /// 12 to 128 characters, and none of those that everybody takes.
    password: SecretText,
}

impl Shape for Password {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (current, password) = (fields.value("current"), fields.value("password"));
        Some(Self { current: current?, password: password? })
    }
}

pub(super) fn password_operation() -> Operation {
    let example =
        json!({"current": "correct horse battery staple", "password": "another horse and battery"});
    Operation::command("changePassword", "Have another password", OWN, Key::Optional)
        .with_body::<Password>(example)
        .changes("It is the password now, and all other sessions are over.")
        .refused_as(&[Code::LoginFailed, Code::WeakPassword, Code::Rejected, Code::NotFound])
        .refused_as(&[Code::Busy])
}

pub(super) async fn change_password(
    State(identity): State<Identity>,
    SignedIn { user, session }: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Password>,
) -> Result<Changed, Problem> {
    let Password { current: SecretText(current), password: SecretText(new) } = request;
    let asked = ChangePassword { user, session, current, new };
    let receipt = identity.change_password(&origin, asked).await?;
    Ok(Changed { category: USER, receipt })
}

/// The password.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "CloseAccount", deny_unknown_fields)]
pub(super) struct Closure {
    password: SecretText,
}

impl Shape for Closure {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { password: fields.value("password")? })
    }
}

pub(super) fn closure_operation() -> Operation {
    Operation::command("closeAccount", "Close the account for good", OWN, Key::Optional)
        .with_body::<Closure>(json!({"password": "correct horse battery staple"}))
        .changes("Nobody comes in with it any more.")
        .refused_as(&[Code::LoginFailed, Code::Rejected, Code::NotFound, Code::Busy])
}

pub(super) async fn close(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(Closure { password: SecretText(password) }): Body<Closure>,
) -> Result<Changed, Problem> {
    let receipt = identity.close_account(&origin, signed_in.user, password).await?;
    Ok(Changed { category: USER, receipt })
}
