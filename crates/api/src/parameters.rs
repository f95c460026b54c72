//! Parameters of queries that have many.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::page::refused;
use crate::problem::Problem;

/// The parameters of the query, as they were given.
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let given =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        given.map(|given| Self(given.0)).map_err(|rejection| refused("", rejection.body_text()))
    }
}

impl Parameters {
    /// Refuses what is not `known`: a filter that is spelled wrong must not pass everything.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                let detail = match known {
                    [] => "is not known here: there are none".to_owned(),
                    known => format!("is not known here: there are `{}`", known.join("`, `")),
                };
                Err(refused(name, detail))
            }
            None => Ok(self),
        }
    }

    /// Every value of `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, if it is given, read by `read`.
    pub(crate) fn one<T, E: ToString>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(refused(name, "is given more than once"));
        }
        read(value).map(Some).map_err(|error| refused(name, error.to_string()))
    }

    /// The value of `name`, which must be given.
    pub(crate) fn required<T, E: ToString>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        self.one(name, read)?.ok_or_else(|| refused(name, "must be given"))
    }

    /// The page that is asked for: how many, and behind what.
    pub(crate) fn page(&self) -> Result<(u16, Option<i64>), Problem> {
        // `read_limit` and `read_cursor` name the parameter themselves.
        let limit = self.one("limit", |text| Ok::<_, String>(crate::page::read_limit(text)))?;
        let cursor = self.one("cursor", |text| Ok::<_, String>(crate::page::read_cursor(text)))?;
        Ok((limit.transpose()?.unwrap_or(crate::page::DEFAULT_LIMIT), cursor.transpose()?))
    }
}
