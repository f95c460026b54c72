//! `/v1/roles`: what may be granted to users.

mod define;
mod list;

use domain::identity::{Grant, RoleName};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::Fields;
use crate::operation::Parameter;
use crate::principal::Permission;
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/roles", list::operation(), list::list)
        .put("/v1/roles/{role}", define::operation(), define::define)
        .delete("/v1/roles/{role}", define::remove_operation(), define::remove)
}

/// A role.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Role")]
struct RoleBody {
    role: RoleName,
    /// What it grants.
    grants: Vec<Grant>,
}

fn name() -> Parameter {
    let schema = json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"});
    Parameter::path("role", "Its name.", schema, json!("clerk"))
}

fn grants() -> Value {
    json!([
        {"permission": "orders.read", "reach": "all"},
        {"permission": "products.manage", "reach": "all"},
    ])
}

/// The field `grants`: at most 100, of permissions that there are.
pub(crate) fn read_grants(fields: &mut Fields<'_>) -> Option<Vec<Grant>> {
    let grants: Vec<Grant> = fields.value("grants")?;
    if grants.len() > 100 {
        return fields.refuse("grants", "are at most 100".to_owned());
    }
    let unknown = |grant: &&Grant| {
        let name = grant.permission.as_str();
        name != "*" && name.parse::<Permission>().is_err()
    };
    if let Some(unknown) = grants.iter().find(unknown) {
        let detail = format!("there is no permission `{}`", unknown.permission);
        return fields.refuse("grants", detail);
    }
    Some(grants)
}
