//! `GET /v1/roles`: the roles there are.

use application::access::Access;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::RoleBody;
use crate::operation::Operation;
use crate::principal::Permission;

/// The roles.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Roles")]
pub(super) struct Body {
    items: Vec<RoleBody>,
}

pub(super) fn operation() -> Operation {
    let example = json!({"items": [{"role": "clerk", "grants": super::grants()}]});
    Operation::query("listRoles", "The roles there are", Permission::ReadRoles)
        .shows::<Body>("By name, as this process knows them: at most a second late.", example)
}

pub(super) async fn list(State(access): State<Access>) -> Json<Body> {
    let items = access.roles().into_iter().filter_map(|role| {
        let grants = access.grants(&role)?.iter().cloned().collect();
        Some(RoleBody { role, grants })
    });
    Json(Body { items: items.collect() })
}
