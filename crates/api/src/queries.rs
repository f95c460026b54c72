//! How read models are queried: as fresh as is asked for, and as they were.

use std::time::Duration;

use application::audit::AsOf;
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use eventstore::{Moment, Position};
use projections::freshness::Freshness;
use projections::time_travel;
use projections::{Document, Projection, Source};
use sqlx::PgPool;

use crate::page::refused;
use crate::problem::{Code, Problem};

const MIN_POSITION: HeaderName = HeaderName::from_static("annals-min-position");

/// Where read models are queried.
#[derive(Debug, Clone)]
pub struct Queries {
    /// The log they are functions of, in the database that holds them.
    pub source: Source,
    /// How far they have come.
    pub freshness: Freshness,
    /// How long a query waits for one to come far enough.
    pub wait: Duration,
}

/// The position that the answer must not be older than, from `Annals-Min-Position`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MinPosition(Option<Position>);

impl<S: Send + Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(MIN_POSITION).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let is_only = values.next().is_none();
        let number = value.to_str().ok().filter(|text| {
            is_only && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
        });
        let position = number.and_then(|text| text.parse().ok()).map(Position::new);
        let refused = || {
            Problem::new(Code::InvalidHeader, "The query cannot be answered.").field(
                "Annals-Min-Position",
                "must be one position, as the `Annals-Position` of an answer",
            )
        };
        position.map(|position| Self(Some(position))).ok_or_else(refused)
    }
}

impl Queries {
    /// Where `projection` can be queried, once it has come as far as `min` says; a query for one key
    /// says which.
    pub(crate) async fn fresh(
        &self,
        projection: &Projection,
        key: Option<&str>,
        MinPosition(min): MinPosition,
    ) -> Result<&PgPool, Problem> {
        if let Some(position) = min {
            self.freshness.wait(projection, key, position, self.wait).await?;
        }
        Ok(self.source.store.pool())
    }

    /// The document `id` of `projection` as it was at `as_of`.
    pub(crate) async fn document<D: Document>(
        &self,
        projection: &Projection,
        id: D::Id,
        as_of: AsOf,
    ) -> Result<Option<D>, Problem> {
        let moment = match as_of {
            AsOf::Time(time) => Moment::Time(time),
            AsOf::Position(position) => Moment::Position(position),
            AsOf::Version(_) => {
                let detail = "must be a time or a position: what is shown here has no versions";
                return Err(refused("as_of", detail));
            }
        };
        Ok(time_travel::document::<D>(&self.source, projection, id, moment).await?)
    }
}
