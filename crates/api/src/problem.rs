//! Everything that goes wrong, as problem details (RFC 9457).
//!
//! The client reads a stable `code` and a plain text. The cause stays inside: it rides in the
//! response's extensions to the one layer that logs it.

mod catalogue;
mod mapping;

use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

pub use catalogue::{Code, Entry};

/// A refusal or a failure, on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    cause: Option<Cause>,
}

/// What is wrong with one field of the request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Why it happened; for the log, never for the client.
#[derive(Debug, Clone)]
pub struct Cause(pub Arc<dyn Error + Send + Sync>);

/// The code, for the log and the metrics.
#[derive(Debug, Clone, Copy)]
pub struct ProblemCode(pub Code);

/// Problem details (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body<'a> {
    /// The address of its entry in the catalogue.
    r#type: String,
    /// What kind of problem it is, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What kind of problem it is, for programs: it never changes.
    code: &'static str,
    /// What is particular about this one.
    detail: &'a str,
    /// What is wrong with the fields of the request, all at once.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of the kind `code`, with what is particular about this one.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// Adds what is wrong with one field.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds why it happened, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Cause(Arc::new(cause)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let entry = self.code.entry();
        let body = Body {
            r#type: format!("/problems/{}", entry.code),
            title: entry.title,
            status: entry.status,
            code: entry.code,
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.code.status(), axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let is_momentary = self.code.status() == StatusCode::SERVICE_UNAVAILABLE
            || self.code == Code::IdempotencyKeyInUse;
        if is_momentary {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            let asked = match self.code {
                Code::InvalidToken => "Bearer error=\"invalid_token\"",
                _ => "Bearer",
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(asked));
        }
        response.extensions_mut().insert(ProblemCode(self.code));
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}
