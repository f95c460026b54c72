//! When a job is due: a cron expression, read on the clock of a place.
//!
//! Slots are moments, the same in every process. Where clocks are put forward or back, an expression
//! means one of two things. One whose hour field is `*` means that time passes: every 15 minutes are
//! every 15 minutes, in the hour that comes twice as in all others. Any other names hours of the wall
//! clock, and each of these has one slot: an hour that comes twice counts the first time, and what
//! falls into an hour that there is not is due once, at the first moment behind it.
//!
//! The expression is parsed and matched by `croner`, on local times that know no zone, where it has
//! nothing to say about clocks that change: where they do, it answers out of order.

use std::fmt;

use chrono::{
    DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _, Utc,
};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// No clock was ever put forward or back by more than a day, as some islands did.
const JUMP: TimeDelta = TimeDelta::hours(26);

/// What is looked at first to find the slots next to a moment; twice as much each time after.
const STEP: TimeDelta = TimeDelta::hours(1);

/// How far ahead a slot is looked for: nine years may lie between two 29th of February.
const FAR: TimeDelta = TimeDelta::days(10 * 366);

/// A cron expression on the clock of a place.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: String,
    cron: Cron,
    zone: Tz,
    /// Whether time that passes is meant, not the wall clock.
    passes: bool,
}

/// Why a schedule cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    /// It has too few fields or too many.
    #[error("{0:?} is no schedule: 5 fields from minute to day of the week, or 6 with seconds")]
    Fields(String),
    /// A field cannot be read.
    #[error("{expression:?} is no schedule")]
    Unreadable {
        /// As it was given.
        expression: String,
        /// What is wrong.
        #[source]
        source: croner::errors::CronError,
    },
    /// No day is like that.
    #[error("{0:?} is never due")]
    Never(String),
}

/// The last slots of a time, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSlots {
    /// The slots.
    pub slots: Vec<DateTime<Utc>>,
    /// Whether there were others before them.
    pub are_more: bool,
}

impl Schedule {
    /// `expression` on the clocks of `zone`: minute, hour, day of the month, month, day of the week;
    /// with six fields, seconds in front of them.
    ///
    /// # Errors
    /// It cannot be read, or no moment is like that.
    pub fn new(expression: &str, zone: Tz) -> Result<Self, InvalidSchedule> {
        let fields: Vec<_> = expression.split_whitespace().collect();
        let hour = match fields.as_slice() {
            [_, hour, _, _, _] | [_, _, hour, _, _, _] => *hour,
            _ => return Err(InvalidSchedule::Fields(expression.to_owned())),
        };
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser.parse(expression).map_err(|source| InvalidSchedule::Unreadable {
            expression: expression.to_owned(),
            source,
        })?;
        let expression = expression.to_owned();
        let schedule = Self { expression, cron, zone, passes: matches!(hour, "*" | "?") };
        // The same answer on every day: some year of these has each day there is.
        match schedule.next(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never(schedule.expression)),
        }
    }

    /// Every slot after `after` and up to `upto`, in order.
    #[must_use]
    pub fn between(&self, after: DateTime<Utc>, upto: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        if upto <= after {
            return Vec::new();
        }
        let local = |moment: DateTime<Utc>| moment.with_timezone(&self.zone).naive_local();
        // Next to a change of the clocks, earlier and later local times may be meant too.
        let (from, to) = if self.changes_near(after) || self.changes_near(upto) {
            (local(after) - JUMP, local(upto) + JUMP)
        } else {
            (local(after), local(upto))
        };
        let mut slots: Vec<_> = self
            .local_times(from)
            .take_while(|time| *time <= to)
            .flat_map(|time| self.moments(time))
            .filter(|slot| after < *slot && *slot <= upto)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The last `most` slots after `after` and up to `upto`.
    #[must_use]
    pub fn last(&self, after: DateTime<Utc>, upto: DateTime<Utc>, most: usize) -> LastSlots {
        let mut step = STEP;
        loop {
            let from = (upto - step).max(after);
            let mut slots = self.between(from, upto);
            if slots.len() > most || from == after {
                let are_more = slots.len() > most;
                slots.drain(..slots.len().saturating_sub(most));
                return LastSlots { slots, are_more };
            }
            step = step + step;
        }
    }

    /// The first slot after `after`; none within the next ten years, as a rule, is none at all.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut step = STEP;
        loop {
            let found = self.between(after, after + step).into_iter().next();
            if found.is_some() || step > FAR {
                return found;
            }
            step = step + step;
        }
    }

    /// For people, for example `at 03:30 (Europe/Berlin)`.
    #[must_use]
    pub fn words(&self) -> String {
        let described = self.cron.describe();
        let rest = described.trim_end_matches('.').trim_start_matches("At ");
        let at = if rest.starts_with("every") { "" } else { "at " };
        format!("{at}{rest} ({})", self.zone)
    }

    /// The local times of the expression from the second of `from` on. The iterator of `croner` leaves
    /// out every other second.
    fn local_times(&self, from: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let second = from.with_nanosecond(0).unwrap_or(from).and_utc();
        let next = |after: &DateTime<Utc>| self.cron.find_next_occurrence(after, false).ok();
        let first = self.cron.find_next_occurrence(&second, true).ok();
        std::iter::successors(first, next).map(|time| time.naive_utc())
    }

    /// The moments that a local time of the expression stands for.
    fn moments(&self, time: NaiveDateTime) -> impl Iterator<Item = DateTime<Utc>> {
        let moments = match self.zone.from_local_datetime(&time) {
            MappedLocalTime::Single(moment) => [Some(moment), None],
            MappedLocalTime::Ambiguous(first, second) => {
                [Some(first), self.passes.then_some(second)]
            }
            MappedLocalTime::None if self.passes => [None, None],
            MappedLocalTime::None => [self.behind_the_gap(time), None],
        };
        moments.into_iter().flatten().map(|moment| moment.to_utc())
    }

    /// The first moment behind the gap that a local time is in.
    fn behind_the_gap(&self, time: NaiveDateTime) -> Option<DateTime<Tz>> {
        // Before the gap local times are less than this one, behind it they are greater.
        let is_before = |second: i64| {
            let moment = self.zone.timestamp_opt(second, 0).single()?;
            Some(moment.naive_local() < time)
        };
        let mut before = (time - JUMP).and_utc().timestamp();
        let mut behind = (time + JUMP).and_utc().timestamp();
        while behind - before > 1 {
            let middle = before.midpoint(behind);
            if is_before(middle)? { before = middle } else { behind = middle }
        }
        self.zone.timestamp_opt(behind, 0).single()
    }

    /// Whether clocks are put forward or back at most a day before or after `moment`.
    fn changes_near(&self, moment: DateTime<Utc>) -> bool {
        let local = |moment: DateTime<Utc>| {
            moment.with_timezone(&self.zone).naive_local() - moment.naive_utc()
        };
        let here = local(moment);
        local(moment - JUMP) != here || local(moment + JUMP) != here
    }
}

/// The expression and the place, for example `30 2 * * * Europe/Berlin`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone)
    }
}

#[cfg(test)]
mod tests;
