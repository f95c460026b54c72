//! Lists, page by page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

use crate::problem::{Code, Problem};

pub(crate) const DEFAULT_LIMIT: u16 = 50;
const MOST: u16 = 200;

/// Which page of a list is asked for, in the parameters of the query.
#[derive(Debug)]
pub(crate) struct PageQuery {
    /// How many are asked for: 1 to 200.
    pub(crate) limit: u16,
    /// Behind which position of the log the page begins.
    pub(crate) after: Option<i64>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct PageBody<T> {
    items: Vec<T>,
    /// Give it as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let parameters = parameters.map_err(|rejection| refused("", rejection.body_text()))?;
        let (mut limit, mut after) = (None, None);
        for (name, value) in &parameters.0 {
            let repeated = match name.as_str() {
                "limit" => limit.replace(read_limit(value)?).is_some(),
                "cursor" => after.replace(read_cursor(value)?).is_some(),
                _ => {
                    let name: String = name.chars().take(64).collect();
                    return Err(refused(name, "is not known here: there are `limit` and `cursor`"));
                }
            };
            if repeated {
                return Err(refused(name, "is given more than once"));
            }
        }
        Ok(Self { limit: limit.unwrap_or(DEFAULT_LIMIT), after })
    }
}

pub(crate) fn read_limit(value: &str) -> Result<u16, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| refused("limit", format!("must be between 1 and {MOST}")))
}

pub(crate) fn read_cursor(value: &str) -> Result<i64, Problem> {
    let position = i64::from_str_radix(value, 16).ok();
    // Written the way it is given out, and no other way.
    let position = position.filter(|position| *position > 0 && format!("{position:x}") == value);
    position.ok_or_else(|| refused("cursor", "must be the `next_cursor` of another page"))
}

pub(crate) fn refused(name: impl Into<String>, detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidParameter, "The query cannot be answered.").field(name, detail)
}

impl<T> PageBody<T> {
    pub(crate) fn new(items: Vec<T>, next: Option<i64>) -> Self {
        Self { items, next_cursor: next.map(|position| format!("{position:x}")) }
    }
}
