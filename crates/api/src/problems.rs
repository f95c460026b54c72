//! `/problems`: the catalogue of problems, where each one's `type` leads.

use axum::routing::get;
use axum::{Json, Router};

use crate::ApiState;
use crate::params::Path;
use crate::problem::{Code, Entry, Problem};

pub(crate) fn routes() -> Router<ApiState> {
    Router::new().route("/problems", get(browse)).route("/problems/{code}", get(show))
}

async fn browse() -> Json<Vec<Entry>> {
    Json(Code::ALL.iter().map(|code| code.entry()).collect())
}

async fn show(Path(code): Path<String>) -> Result<Json<Entry>, Problem> {
    let known = Code::ALL.iter().map(|known| known.entry()).find(|known| known.code == code);
    known.map(Json).ok_or_else(|| Problem::new(Code::NotFound, "No problem has this code."))
}
