//! How read models are queried: as fresh as is asked for, and as they were.
//!
//! What was at a moment is read from the log, which nothing is fresher than: with `as_of` there is no
//! read model to wait for, and `Annals-Min-Position` has no effect.

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

    /// The document `id` of `projection` as it was at `moment`.
    pub(crate) async fn document<D: Document>(
        &self,
        projection: &Projection,
        id: D::Id,
        moment: Moment,
    ) -> Result<Option<D>, Problem> {
        Ok(time_travel::document::<D>(&self.source, projection, id, moment).await?)
    }
}

/// Reads `as_of`, of which documents take no version: they are made of more than one stream.
pub(crate) fn read_moment(text: &str) -> Result<Moment, &'static str> {
    match text.parse() {
        Ok(AsOf::Time(time)) => Ok(Moment::Time(time)),
        Ok(AsOf::Position(position)) => Ok(Moment::Position(position)),
        Ok(AsOf::Version(_)) | Err(_) => Err(
            "must be a time with its offset, such as `2026-01-01T00:00:00Z`, or a position of the \
             log, such as `position:120`",
        ),
    }
}
