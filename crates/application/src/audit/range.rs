//! Which part of the log lies between two times.

use chrono::{DateTime, TimeDelta, Utc};
use eventstore::{EventStore, Moment, Position};

/// Which part of the log is asked for; parts that are given must all hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// What comes after this position.
    pub after: Option<Position>,
    /// Up to this position.
    pub to: Option<Position>,
    /// Recorded at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Recorded up to this time.
    pub until: Option<DateTime<Utc>>,
}

impl Range {
    /// After which position it begins, and up to which it goes: that of the end of the log or
    /// beyond, if nothing else ends it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn positions(self, store: &EventStore) -> Result<(Position, Position), sqlx::Error> {
        let mut after = self.after.unwrap_or(Position::START);
        let mut to = self.to.unwrap_or(Position::MAX);
        if let Some(since) = self.since {
            // The log counts microseconds.
            let before = since - TimeDelta::microseconds(1);
            after = after.max(store.position_at(Moment::Time(before)).await?);
        }
        if let Some(until) = self.until {
            to = to.min(store.position_at(Moment::Time(until)).await?);
        }
        Ok((after, to))
    }
}
