//! `/v1/me/second-factor`: something besides the password, told to a device and confirmed by a code of it.
//!
//! Secrets are told once: the seed when it is begun, the codes for when the device is lost when it is
//! confirmed or when they are replaced. As of every answer, nobody keeps them on the way.

use application::identity::{Enrolment, Identity, RecoveryCodes};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::identity::USER;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;
use crate::routes::Routes;
use crate::secret_text::SecretText;

const OWN: Permission = Permission::OwnAccount;

pub(super) fn routes() -> Routes {
    Routes::default()
        .post("/v1/me/second-factor", begin_operation(), begin)
        .post("/v1/me/second-factor/confirmation", confirm_operation(), confirm)
        .post("/v1/me/second-factor/recovery-codes", replace_operation(), replace_codes)
        .post("/v1/me/second-factor/removal", remove_operation(), remove)
}

/// The password.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "BeginSecondFactor", deny_unknown_fields)]
struct Begin {
    password: SecretText,
}

impl Shape for Begin {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { password: fields.value("password")? })
    }
}

/// What is told to a device, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorEnrolment")]
struct EnrolmentBody {
    /// What is typed where no camera is: base32.
    secret: String,
    /// The same as apps read it from a QR code.
    url: String,
    /// Until when a code of the device is waited for.
    expires_at: DateTime<Utc>,
}

fn begin_operation() -> Operation {
    let shown = json!({
        "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "url": "otpauth://totp/Annals:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Annals",
        "expires_at": "2026-11-21T10:25:30.123456Z",
    });
    Operation::exchange("beginSecondFactor", "Begin to have a second factor", OWN)
        .with_body::<Begin>(json!({"password": "correct horse battery staple"}))
        .shows::<EnrolmentBody>("Nothing is changed until a code of the device confirms it.", shown)
        .refused_as(&[Code::LoginFailed, Code::Rejected, Code::Busy])
}

async fn begin(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    Body(Begin { password: SecretText(password) }): Body<Begin>,
) -> Result<Json<EnrolmentBody>, Problem> {
    let enrolment = identity.begin_second_factor(signed_in.user, password).await?;
    let Enrolment { secret, url, expires_at } = enrolment;
    let secret = secret.expose_secret().to_owned();
    let body = EnrolmentBody { secret, url: url.expose_secret().to_owned(), expires_at };
    Ok(Json(body))
}

/// What the device shows.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ConfirmSecondFactor", deny_unknown_fields)]
struct Confirm {
    code: SecretText,
}

impl Shape for Confirm {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { code: fields.value("code")? })
    }
}

/// Codes for when the device is lost.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
struct CodesBody {
    /// Each is good for once.
    recovery_codes: Vec<String>,
}

impl From<RecoveryCodes> for CodesBody {
    fn from(RecoveryCodes(codes): RecoveryCodes) -> Self {
        let codes = codes.iter().map(|code| code.expose_secret().to_owned());
        Self { recovery_codes: codes.collect() }
    }
}

fn codes_example() -> Value {
    json!({"recovery_codes": ["7KQ2-M0XW-9ZTB-4HJE", "0C5R-T8NV-WQ3D-61YA"]})
}

fn confirm_operation() -> Operation {
    let done = "From now on it takes a code to log in; sessions go on.";
    Operation::exchange("confirmSecondFactor", "Confirm a second factor", OWN)
        .with_body::<Confirm>(json!({"code": "287082"}))
        .shows::<CodesBody>(done, codes_example())
        .refused_as(&[Code::CodeRefused, Code::LoginFailed, Code::Rejected, Code::NotFound])
}

async fn confirm(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(Confirm { code: SecretText(code) }): Body<Confirm>,
) -> Result<Json<CodesBody>, Problem> {
    let codes = identity.confirm_second_factor(&origin, signed_in.user, &code).await?;
    Ok(Json(codes.into()))
}

/// The password, and what the device shows or a code for when it is lost.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ProveBoth", deny_unknown_fields)]
struct Both {
    password: SecretText,
    code: SecretText,
}

impl Shape for Both {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (password, code) = (fields.value("password"), fields.value("code"));
        Some(Self { password: password?, code: code? })
    }
}

fn takes_both(operation: Operation) -> Operation {
    operation
        .with_body::<Both>(json!({"password": "correct horse battery staple", "code": "287082"}))
        .refused_as(&[Code::CodeRefused, Code::LoginFailed, Code::Rejected, Code::NotFound])
        .refused_as(&[Code::Busy])
}

fn replace_operation() -> Operation {
    let summary = "Have other codes for when the device is lost";
    takes_both(Operation::exchange("replaceRecoveryCodes", summary, OWN))
        .shows::<CodesBody>("Those of before are good no more.", codes_example())
}

async fn replace_codes(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Both>,
) -> Result<Json<CodesBody>, Problem> {
    let Both { password: SecretText(password), code: SecretText(code) } = request;
    let proof = (password, code);
    let codes = identity.replace_recovery_codes(&origin, signed_in.user, proof).await?;
    Ok(Json(codes.into()))
}

fn remove_operation() -> Operation {
    let summary = "Have no second factor any more";
    takes_both(Operation::command("removeMySecondFactor", summary, OWN, Key::Optional))
        .changes("The password alone lets in; sessions go on.")
}

async fn remove(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Both>,
) -> Result<Changed, Problem> {
    let Both { password: SecretText(password), code: SecretText(code) } = request;
    let proof = (password, code);
    let receipt = identity.disable_second_factor(&origin, signed_in.user, proof).await?;
    Ok(Changed { category: USER, receipt })
}
