//! `POST /v1/me/api-keys`: let a program in on one's behalf.

use application::identity::{Identity, NewApiKey};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::identity::Grant;
use domain::values::ApiKeyName;
use schemars::JsonSchema;
use serde_json::json;

use super::{GivenBody, OWN, given_example, grants};
use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::{Permission, Principal, SignedIn};
use crate::problem::{Code, Problem};
use crate::roles::read_grants;

/// What the program may do.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "CreateApiKey", deny_unknown_fields)]
pub(super) struct Request {
    name: ApiKeyName,
    /// 1 to 100, none of which goes farther than what the user may do.
    #[schemars(length(min = 1, max = 100))]
    grants: Vec<Grant>,
    /// When it shall be over; without it, it has no end.
    expires_at: Option<DateTime<Utc>>,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, grants) = (fields.value("name"), read_own_grants(fields));
        let expires_at = fields.optional("expires_at");
        Some(Self { name: name?, grants: grants?, expires_at: expires_at? })
    }
}

fn read_own_grants(fields: &mut Fields<'_>) -> Option<Vec<Grant>> {
    let grants = read_grants(fields)?;
    let own = Permission::OwnAccount.as_str();
    if grants.is_empty() {
        return fields.refuse("grants", "are at least 1".to_owned());
    }
    if grants.iter().any(|grant| grant.permission.as_str() == own) {
        let detail = format!("`{own}` comes with being logged in, and with no key");
        return fields.refuse("grants", detail);
    }
    Some(grants)
}

pub(super) fn operation() -> Operation {
    let asked = json!({
        "name": "Nightly import",
        "grants": grants(),
        "expires_at": "2027-11-21T00:00:00Z",
    });
    let own = Permission::OwnAccount;
    Operation::command("createApiKey", "Let a program in on my behalf", own, Key::Required)
        .with_body::<Request>(asked)
        .creates::<GivenBody<'_>>("The key, which is told this once.", given_example())
        .refused_as(&[Code::Rejected, Code::NotFound])
}

pub(super) async fn create(
    State(identity): State<Identity>,
    SignedIn { user, .. }: SignedIn,
    Extension(principal): Extension<Principal>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { name, grants, expires_at }): Body<Request>,
) -> Result<Response, Problem> {
    principal.check_grants(&grants)?;
    let grants = grants.into_iter().collect();
    let asked = NewApiKey { user, name, grants, expires_at };
    let given = identity.create_api_key(&origin, asked).await?;
    let mut response = super::answer(StatusCode::CREATED, &given);
    if let Ok(location) = HeaderValue::try_from(format!("{OWN}/{}", given.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
