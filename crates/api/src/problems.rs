//! `/problems`: the catalogue of problems, where each one's `type` leads.

use axum::Json;
use serde_json::json;

use crate::operation::{Operation, Parameter};
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Entry, Problem};
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    let listed = Operation::query("listProblems", "What can go wrong", Permission::ReadDescription)
        .shows::<Vec<Entry>>("Every kind of problem.", json!([Code::NotFound.entry()]));
    let schema = json!({"type": "string"});
    let shown = Operation::query("showProblem", "One problem", Permission::ReadDescription)
        .takes(Parameter::path("code", "Its code.", schema, json!("not-found")))
        .shows::<Entry>("The problem.", json!(Code::NotFound.entry()))
        .refused_as(&[Code::NotFound]);
    Routes::default().get("/problems", listed, browse).get("/problems/{code}", shown, show)
}

async fn browse() -> Json<Vec<Entry>> {
    Json(Code::ALL.iter().map(|code| code.entry()).collect())
}

async fn show(Path(code): Path<String>) -> Result<Json<Entry>, Problem> {
    let known = Code::ALL.iter().map(|known| known.entry()).find(|known| known.code == code);
    known.map(Json).ok_or_else(|| Problem::new(Code::NotFound, "No problem has this code."))
}
