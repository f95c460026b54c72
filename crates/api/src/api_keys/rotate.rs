//! `POST /v1/me/api-keys/{id}/rotate`: another secret for an API key.

use application::identity::{Identity, RotateKey};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use domain::ids::ApiKeyId;
use schemars::JsonSchema;
use serde_json::json;

use super::{GivenBody, given_example};
use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};

/// 30 days.
const MOST_SECONDS: u32 = 2_592_000;

/// For how long secrets of before let in.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "RotateApiKey", deny_unknown_fields)]
pub(super) struct Request {
    /// 0 ends all of them at once; at most 30 days.
    #[schemars(range(max = MOST_SECONDS))]
    overlap_seconds: u32,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let overlap_seconds = fields.value("overlap_seconds")?;
        if overlap_seconds > MOST_SECONDS {
            return fields.refuse("overlap_seconds", format!("is at most {MOST_SECONDS}"));
        }
        Some(Self { overlap_seconds })
    }
}

pub(super) fn operation() -> Operation {
    let (summary, own) = ("Have another secret for an API key", Permission::OwnAccount);
    Operation::command("rotateApiKey", summary, own, Key::Required)
        .takes(Parameter::id("The key."))
        .with_body::<Request>(json!({"overlap_seconds": 86_400}))
        .tells::<GivenBody<'_>>("The key from now on, which is told this once.", given_example())
        .refused_as(&[Code::NotFound, Code::InvalidParameter, Code::Rejected])
}

pub(super) async fn rotate(
    State(identity): State<Identity>,
    SignedIn { user, .. }: SignedIn,
    Path(key): Path<ApiKeyId>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { overlap_seconds }): Body<Request>,
) -> Result<Response, Problem> {
    let overlap = TimeDelta::seconds(overlap_seconds.into());
    let given = identity.rotate_api_key(&origin, RotateKey { key, user, overlap }).await?;
    Ok(super::answer(StatusCode::OK, &given))
}
