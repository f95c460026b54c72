//! Parameters of queries.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded::Serializer;

use crate::page::refused;
use crate::problem::Problem;

/// The parameters of the query, as they were given.
pub(crate) struct Parameters {
    path: String,
    given: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let given =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let axum::extract::Query(given) =
            given.map_err(|rejection| refused("", rejection.body_text()))?;
        Ok(Self { path: parts.uri.path().to_owned(), given })
    }
}

impl Parameters {
    /// Refuses what is not `known`: a filter that is spelled wrong must not pass everything.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.given.iter().find(|(name, _)| !known.contains(&name.as_str())) {
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
        self.given.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
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

    /// The value of `name`, if it is given, which must be one of `known`.
    pub(crate) fn choice(
        &self,
        name: &str,
        known: &[&'static str],
    ) -> Result<Option<&'static str>, Problem> {
        self.one(name, |text| {
            let given = known.iter().copied().find(|known| *known == text);
            given.ok_or_else(|| format!("must be one of `{}`", known.join("`, `")))
        })
    }

    /// The value of `name`, which must be given.
    pub(crate) fn required<T, E: ToString>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        self.one(name, read)?.ok_or_else(|| refused(name, "must be given"))
    }

    /// The address and the parameters but those of `names`, always in the same order: the same
    /// question is the same text.
    pub(crate) fn query_without(&self, names: &[&str]) -> String {
        let mut asked: Vec<_> =
            self.given.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
        asked.sort();
        let mut query = Serializer::for_suffix(format!("{}?", self.path), self.path.len() + 1);
        query.extend_pairs(asked);
        query.finish()
    }
}
