//! Lists, page by page.

use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};

const DEFAULT_LIMIT: u16 = 50;
const MOST: u16 = 200;

/// Which page of a list is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    limit: Option<u16>,
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct PageBody<T> {
    items: Vec<T>,
    /// Give it as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl PageQuery {
    /// How many are asked for: 1 to 200.
    pub(crate) fn limit(&self) -> Result<u16, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MOST => Ok(limit),
            _ => Err(Problem::new(Code::InvalidParameter, "The query cannot be answered.")
                .field("limit", format!("must be between 1 and {MOST}"))),
        }
    }

    /// Behind which position of the log the page begins.
    pub(crate) fn after(&self) -> Result<Option<i64>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        i64::from_str_radix(cursor, 16).map(Some).map_err(|_| {
            Problem::new(Code::InvalidParameter, "The query cannot be answered.")
                .field("cursor", "must be the `next_cursor` of another page")
        })
    }
}

impl<T> PageBody<T> {
    pub(crate) fn new(items: Vec<T>, next: Option<i64>) -> Self {
        Self { items, next_cursor: next.map(|position| format!("{position:x}")) }
    }
}
