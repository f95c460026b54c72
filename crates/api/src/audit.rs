//! `/v1/audit`: what happened, what was when, and what made it so.

mod browse;
mod difference;
mod history;
mod show;
mod state;

use eventstore::StreamId;
use serde_json::{Value, json};

use crate::operation::Parameter;
use crate::page::refused;
use crate::problem::Problem;
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/audit/events", browse::operation(), browse::browse)
        .get("/v1/audit/events/{id}", show::operation(), show::show)
        .get("/v1/audit/streams/{stream}/events", history::operation(), history::history)
        .get("/v1/audit/streams/{stream}/state", state::operation(), state::state)
        .get(
            "/v1/audit/streams/{stream}/difference",
            difference::operation(),
            difference::difference,
        )
}

fn stream_id(text: &str) -> Result<StreamId, Problem> {
    StreamId::new(text).map_err(|error| refused("stream", error.to_string()))
}

/// The stream that is meant.
fn stream_parameter() -> Parameter {
    let schema = json!({"type": "string", "pattern": "^[ -~]{1,200}$"});
    let example = json!("catalog.product-01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11");
    Parameter::path("stream", "The name of a stream.", schema, example)
}

/// A moment in the life of one stream.
fn moment_parameter(name: &'static str, description: &'static str) -> Parameter {
    let schema = json!({
        "type": "string",
        "oneOf": [
            {"format": "date-time", "not": {"pattern": "^(position|version):"}},
            {"pattern": "^(position|version):(0|[1-9][0-9]{0,17})$"},
        ],
    });
    Parameter::query(name, description, schema, json!("version:1"))
}

/// An event as the description of the API shows one.
fn example() -> Value {
    json!({
        "position": 1,
        "recorded_at": "2026-11-21T10:15:30.123456Z",
        "event_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a12",
        "type": "catalog.product-repriced.v1",
        "stream": "catalog.product-01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11",
        "version": 2,
        "command_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a13",
        "correlation_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a14",
        "causation_id": null,
        "actor": "anonymous",
        "tenant": null,
        "trace": null,
        "tags": [],
        "payload": {
            "product_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11",
            "price": {"amount": 990, "currency": "EUR"},
        },
    })
}

/// What a product was, as the description of the API shows it.
fn example_state() -> Value {
    json!({
        "version": 1,
        "position": 1,
        "recorded_at": "2026-11-21T10:15:30.123456Z",
        "state": {"product_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11", "sku": "Mug-1"},
    })
}
