//! `GET /v1/me/permissions`: what the user who asks may do.

use axum::{Extension, Json};
use domain::identity::Reach;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::operation::Operation;
use crate::principal::{Permission, Principal};

/// What may be done.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Permissions")]
pub(super) struct Body {
    permissions: Vec<Held>,
}

/// A permission, and how far it goes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldPermission")]
struct Held {
    permission: &'static str,
    reach: Reach,
}

pub(super) fn operation() -> Operation {
    let example = json!({"permissions": [{"permission": "orders.read", "reach": "own"}]});
    Operation::query("showMyPermissions", "What I may do", Permission::OwnAccount)
        .shows::<Body>("Every permission, and how far it goes.", example)
}

pub(super) async fn show(Extension(principal): Extension<Principal>) -> Json<Body> {
    let held = Permission::ALL.iter().filter_map(|permission| {
        let reach = principal.reach(*permission)?;
        Some(Held { permission: permission.as_str(), reach })
    });
    Json(Body { permissions: held.collect() })
}
