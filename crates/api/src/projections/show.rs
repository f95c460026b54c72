//! `GET /v1/projections/{name}`: one read model with its generations and its parked keys.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use eventstore::{EventStore, Position};
use projections::comparison::{Comparison, RowDifference, TableComparison};
use projections::generation::{self, Generation};
use projections::operations::{ParkedKey, parked_keys};
use projections::overview::overview;
use projections::{Projection, rebuild};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::ProjectionBody;
use crate::operation::{Operation, Parameter};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProjectionInDetail")]
pub(super) struct Body {
    #[serde(flatten)]
    projection: ProjectionBody,
    /// The events it reads.
    reads: &'static [&'static str],
    /// The oldest first.
    generations: Vec<GenerationBody>,
    /// Of the live one, those that wait longest first.
    parked: Vec<ParkedBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Generation")]
struct GenerationBody {
    id: i64,
    state: &'static str,
    paused: bool,
    begun_at: DateTime<Utc>,
    /// When it was last made live.
    #[serde(skip_serializing_if = "Option::is_none")]
    live_at: Option<DateTime<Utc>>,
    #[schemars(with = "i64")]
    position: Position,
    /// How it differed from the one that was live when it had been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<ComparisonBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ParkedKey")]
struct ParkedBody {
    key: String,
    parked_at: DateTime<Utc>,
    /// The first of its events that wait.
    #[schemars(with = "i64")]
    position: Position,
    events: i64,
    attempts: i32,
    error: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Comparison")]
struct ComparisonBody {
    /// Up to where both had come.
    #[schemars(with = "i64")]
    position: Position,
    equal: bool,
    live_parked_keys: i64,
    new_parked_keys: i64,
    tables: Vec<TableBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TableComparison")]
struct TableBody {
    table: String,
    live_rows: i64,
    new_rows: i64,
    /// All rows in one number, in hexadecimal digits: programs that read numbers as floats lose some.
    live_digest: String,
    new_digest: String,
    /// How many rows differ.
    different: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    examples: Vec<RowBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RowDifference")]
struct RowBody {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
}

pub(super) fn operation() -> Operation {
    let schema = json!({"type": "string"});
    let mut example = super::example();
    example["reads"] = json!(["ordering.order-placed"]);
    example["generations"] = json!([]);
    example["parked"] = json!([]);
    let summary = "One read model, with its generations and its parked keys";
    Operation::query("showProjection", summary, Permission::ReadProjections)
        .takes(Parameter::path("name", "Its name.", schema, json!("orders")))
        .shows::<Body>("The read model.", example)
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(store): State<EventStore>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<Body>, Problem> {
    parameters.only(&[])?;
    let absent = || Problem::new(Code::NotFound, "No projection has this name.");
    let known = projections::ALL.iter().find(|known| known.name == name);
    let projection: &Projection = known.ok_or_else(absent)?;
    let overview = overview(&store, &[projection]).await?.pop().ok_or_else(absent)?;
    let generations = generation::of(store.pool(), &projection.model()).await?;
    let mut of_generations = Vec::with_capacity(generations.len());
    for generation in generations {
        let progress = rebuild::progress(store.pool(), generation.id).await?;
        let comparison = progress.and_then(|progress| progress.comparison);
        of_generations.push(GenerationBody::of(&generation, comparison));
    }
    let parked = parked_keys(store.pool(), projection).await?;
    Ok(Json(Body {
        projection: overview.into(),
        reads: projection.reads,
        generations: of_generations,
        parked: parked.into_iter().map(ParkedBody::from).collect(),
    }))
}

impl GenerationBody {
    fn of(generation: &Generation, comparison: Option<Comparison>) -> Self {
        let Generation { id, state, created_at, live_at, paused, position, .. } = *generation;
        Self {
            id,
            state: state.as_str(),
            paused,
            begun_at: created_at,
            live_at,
            position,
            comparison: comparison.map(ComparisonBody::from),
        }
    }
}

impl From<ParkedKey> for ParkedBody {
    fn from(parked: ParkedKey) -> Self {
        let ParkedKey { key, attempts, error, parked_at, position, events } = parked;
        Self { key, parked_at, position, events, attempts, error }
    }
}

impl From<Comparison> for ComparisonBody {
    fn from(comparison: Comparison) -> Self {
        let equal = comparison.is_equal();
        let Comparison { position, tables, parked_live, parked_new } = comparison;
        let tables = tables.into_iter().map(TableBody::from).collect();
        let (live_parked_keys, new_parked_keys) = (parked_live, parked_new);
        Self { position, equal, live_parked_keys, new_parked_keys, tables }
    }
}

impl From<TableComparison> for TableBody {
    fn from(compared: TableComparison) -> Self {
        let hexadecimal = |digest: i64| format!("{:016x}", digest.cast_unsigned());
        let examples = compared.examples.into_iter();
        Self {
            table: compared.table,
            live_rows: compared.live_rows,
            new_rows: compared.new_rows,
            live_digest: hexadecimal(compared.live_digest),
            new_digest: hexadecimal(compared.new_digest),
            different: compared.different,
            examples: examples
                .map(|RowDifference { key, live, new }| RowBody { key, live, new })
                .collect(),
        }
    }
}
