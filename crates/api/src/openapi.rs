//! The description of the API, OpenAPI 3.1, made from what the routes are declared as and from the
//! types they read and write.
//!
//! It is committed as `docs/openapi.json`, and a test fails when the two differ.

use std::sync::LazyLock;

use axum::response::Response;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::fixed_text::FixedText;
use crate::if_none_match::IfNoneMatch;
use crate::operation::{Answer, Content, Operation, Parameter, schema_of};
use crate::principal::Permission;
use crate::problem;
use crate::routes::{Placed, Routes};

static DOCUMENT: LazyLock<FixedText> =
    LazyLock::new(|| FixedText::new("application/json", format!("{:#}\n", document())));

pub(crate) fn routes() -> Routes {
    let schema = |_: &mut SchemaGenerator| json!({"type": "object"}).try_into().unwrap_or_default();
    let shown =
        Operation::query("showDescription", "This description", Permission::ReadDescription)
            .answers_with(Answer {
                status: http::StatusCode::OK,
                description: "OpenAPI 3.1.",
                headers: Vec::new(),
                content: Some(Content {
                    media_type: "application/json",
                    schema,
                    example: json!({"openapi": "3.1.0"}),
                }),
            });
    Routes::default().get("/openapi.json", shown, show)
}

async fn show(asked: IfNoneMatch) -> Response {
    DOCUMENT.answer(&asked)
}

/// The description as text.
#[must_use]
pub fn text() -> &'static str {
    DOCUMENT.as_str()
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = schema_of::<problem::Body<'_>>(&mut generator);
    let mut paths = Map::new();
    let routes = crate::routes();
    let described = routes.operations().iter().filter(|placed| placed.operation.is_described);
    for Placed { method, path, operation } in described {
        let described = describe(operation, &mut generator);
        let item = paths.entry(*path).or_insert_with(|| json!({}));
        item[method.as_str().to_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Annals",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Commands and queries of an event-sourced backend",
            "description": "Commands answer how far the log had come (`Annals-Position`); a query that \
                carries it as `Annals-Min-Position` is at least that fresh. Whatever goes wrong is \
                a problem (RFC 9457) with a stable `code`; `/problems` lists them.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {"accessToken": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The access token that `POST /v1/sessions` answers with.",
            }},
            "schemas": generator.take_definitions(true),
            "responses": {"Problem": {
                "description": "It was refused, or did not work.",
                "headers": {"X-Request-Id": {
                    "description": "For reports.",
                    "schema": {"type": "string", "format": "uuid"},
                }},
                "content": {"application/problem+json": {"schema": problem}},
            }},
        },
    })
}

fn tags() -> Value {
    let tag = |name, description| json!({"name": name, "description": description});
    json!([
        tag("account", "Coming in, and one's own account."),
        tag("users", "Who has an account."),
        tag("roles", "What may be granted to users."),
        tag("products", "What is offered."),
        tag("orders", "What was asked for."),
        tag("events", "What the public is told, as it happens."),
        tag("audit", "What happened, what was when, and what made it so."),
        tag("projections", "How the read models are doing."),
        tag("description", "What the API is."),
    ])
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let Operation { id, summary, permission, parameters, body, answers, problems, .. } = operation;
    let tag = permission.as_str().split('.').next().unwrap_or_default();
    let mut described = json!({
        "operationId": id,
        "summary": summary,
        "tags": [tag],
        // Also without: the installation says what strangers may do.
        "security": [{"accessToken": []}, {}],
        "x-permission": permission.as_str(),
        "x-reach": operation.reach,
        "x-problems": problems.iter().map(|code| code.entry().code).collect::<Vec<_>>(),
        "parameters": parameters.iter().map(parameter).collect::<Vec<_>>(),
    });
    if let Some((schema, example)) = body {
        described["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema(generator), "example": example}},
        });
    }
    let mut responses = Map::new();
    for answered in answers {
        responses.insert(answered.status.as_u16().to_string(), answer(answered, generator));
    }
    for status in problems.iter().map(|code| code.status().as_u16().to_string()) {
        if !responses.contains_key(&status) {
            let refusal = refusal(operation, &status);
            responses.insert(status, refusal);
        }
    }
    described["responses"] = responses.into();
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { name, place, required, description, schema, example } = parameter;
    let mut described = json!({
        "name": name,
        "in": place.as_str(),
        "required": required,
        "description": description,
        "schema": schema,
    });
    if !example.is_null() {
        described["example"] = example.clone();
    }
    described
}

fn answer(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let Answer { description, headers, content, .. } = answer;
    let mut described = json!({"description": description});
    if !headers.is_empty() {
        let header = |header: &crate::operation::Header| {
            let described =
                json!({"description": header.description, "schema": {"type": "string"}});
            (header.name.to_owned(), described)
        };
        described["headers"] = headers.iter().map(header).collect::<Map<_, _>>().into();
    }
    if let Some(Content { media_type, schema, example }) = content {
        described["content"] =
            json!({*media_type: {"schema": schema(generator), "example": example}});
    }
    described
}

/// The problems of `operation` that have this status, each with an example.
fn refusal(operation: &Operation, status: &str) -> Value {
    let of_status = operation
        .problems
        .iter()
        .map(|code| code.entry())
        .filter(|entry| entry.status.to_string() == status);
    let mut examples = Map::new();
    let mut titles = Vec::new();
    for entry in of_status {
        titles.push(format!("{} (`{}`).", entry.title, entry.code));
        let example = json!({
            "type": format!("/problems/{}", entry.code),
            "title": entry.title,
            "status": entry.status,
            "code": entry.code,
            "detail": entry.remedy,
        });
        examples.insert(entry.code.to_owned(), json!({"value": example}));
    }
    json!({
        "description": titles.join(" "),
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": examples,
        }},
    })
}
