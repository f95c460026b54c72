//! `/v1/projections`: for operators, how the read models are doing, whichever process keeps them.

mod browse;
mod show;

use chrono::{DateTime, Utc};
use eventstore::Position;
use projections::overview::{Keeper, Live, Making, Overview};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default().get("/v1/projections", browse::operation(), browse::browse).get(
        "/v1/projections/{name}",
        show::operation(),
        show::show,
    )
}

/// A read model, as operators see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Projection")]
struct ProjectionBody {
    name: String,
    version: u16,
    /// Absent while it is made for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveBody>,
    /// The generation that is in the making, or made and held.
    #[serde(skip_serializing_if = "Option::is_none")]
    making: Option<MakingBody>,
    /// The generation that was replaced last, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_generation: Option<i64>,
}

/// The generation that queries read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LiveGeneration")]
struct LiveBody {
    generation: i64,
    #[schemars(with = "i64")]
    position: Position,
    behind_events: i64,
    behind_seconds: f64,
    paused: bool,
    parked_keys: i64,
    keepers: Vec<KeeperBody>,
    /// How it differs from what the log says by the continuous count.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

/// A process that keeps some of its slots.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Keeper")]
struct KeeperBody {
    worker: String,
    slots: i64,
}

/// A generation in the making.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GenerationInTheMaking")]
struct MakingBody {
    generation: i64,
    state: String,
    paused: bool,
    conducted: bool,
    begun_at: DateTime<Utc>,
    #[schemars(with = "i64")]
    position: Position,
    /// Where the log ended when it was looked at last; absent until somebody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    goal: Option<Position>,
    /// From 0 to 1.
    done: f64,
    /// Positions a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_seconds: Option<f64>,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl From<Overview> for ProjectionBody {
    fn from(overview: Overview) -> Self {
        let Overview { name, version, live, making, retired } = overview;
        let (live, making) = (live.map(LiveBody::from), making.map(MakingBody::from));
        Self { name, version, live, making, retired_generation: retired }
    }
}

impl From<Live> for LiveBody {
    fn from(live: Live) -> Self {
        let keepers = live.keepers.into_iter();
        let keepers = keepers.map(|Keeper { worker, slots }| KeeperBody { worker, slots });
        Self {
            generation: live.generation,
            position: live.position,
            behind_events: live.behind_events,
            behind_seconds: live.behind_seconds,
            paused: live.paused,
            parked_keys: live.parked_keys,
            keepers: keepers.collect(),
            difference: live.difference,
        }
    }
}

impl From<Making> for MakingBody {
    fn from(making: Making) -> Self {
        Self {
            generation: making.generation,
            state: making.state,
            paused: making.paused,
            conducted: making.conducted,
            begun_at: making.begun_at,
            position: making.position,
            goal: making.goal,
            done: making.done,
            rate: making.rate,
            left_seconds: making.left_seconds,
            trouble: making.trouble,
        }
    }
}

/// A read model as the description of the API shows one.
fn example() -> Value {
    json!({
        "name": "orders",
        "version": 2,
        "live": {
            "generation": 1,
            "position": 120,
            "behind_events": 0,
            "behind_seconds": 0.0,
            "paused": false,
            "parked_keys": 0,
            "keepers": [{"worker": "projector-1", "slots": 8}],
        },
    })
}
