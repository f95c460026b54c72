//! Lists, page by page.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cursor::Cursors;
use crate::parameters::Parameters;
use crate::problem::{Code, Problem};

pub(crate) const DEFAULT_LIMIT: u16 = 50;
pub(crate) const MOST: u16 = 200;

/// The page of a list that is asked for; `K` is what the list is sorted by.
#[derive(Debug)]
pub(crate) struct Page<K> {
    /// How many are asked for: 1 to 200.
    pub(crate) limit: u16,
    /// Behind what it begins.
    pub(crate) after: Option<K>,
    query: String,
    cursors: Cursors,
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PageBody<T> {
    items: Vec<T>,
    /// Give it as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    /// Reads `limit` and `cursor`.
    pub(crate) fn of(parameters: &Parameters, cursors: &Cursors) -> Result<Self, Problem> {
        let limit = parameters.one("limit", read_limit)?.unwrap_or(DEFAULT_LIMIT);
        let query = parameters.query_without(&["limit", "cursor"]);
        let after = parameters.one("cursor", |cursor| {
            cursors.open(&query, cursor).ok_or("must be the `next_cursor` of a page of this query")
        })?;
        Ok(Self { limit, after, query, cursors: cursors.clone() })
    }

    /// The page that holds `items` and ends with `next`, if there are more behind it.
    pub(crate) fn holds<T>(self, items: Vec<T>, next: Option<K>) -> Result<PageBody<T>, Problem> {
        let seal = |key| self.cursors.seal(&self.query, &key);
        Ok(PageBody { items, next_cursor: next.map(seal).transpose()? })
    }
}

impl<T> PageBody<T> {
    /// All there is.
    pub(crate) const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

fn read_limit(value: &str) -> Result<u16, String> {
    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| format!("must be between 1 and {MOST}"))
}

pub(crate) fn refused(name: impl Into<String>, detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidParameter, "The query cannot be answered.").field(name, detail)
}
