//! Moments, as people write them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use eventstore::{Position, StreamVersion};

/// A moment in the story of a stream.
///
/// Written as a time of RFC 3339 with its offset (`2026-01-01T00:00:00Z`), `position:120` or
/// `version:7`. Position and version 0 are before anything has happened; a moment includes what
/// happened at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// When everything recorded up to this time had happened.
    Time(DateTime<Utc>),
    /// When the log ended here.
    Position(Position),
    /// When the stream was at this version.
    Version(StreamVersion),
}

/// The text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a time with its offset, such as `2026-01-01T00:00:00Z`, or a position of the log, such as `position:120`, or a version of the stream, such as `version:7`"
)]
pub struct InvalidAsOf;

impl FromStr for AsOf {
    type Err = InvalidAsOf;

    fn from_str(text: &str) -> Result<Self, InvalidAsOf> {
        if let Some(number) = text.strip_prefix("position:") {
            return Ok(Self::Position(Position::new(counted(number)?)));
        }
        if let Some(number) = text.strip_prefix("version:") {
            return Ok(Self::Version(StreamVersion::new(counted(number)?)));
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidAsOf)?;
        Ok(Self::Time(time.to_utc()))
    }
}

fn counted(text: &str) -> Result<i64, InvalidAsOf> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(InvalidAsOf)
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Position(position) => write!(f, "position:{position}"),
            Self::Version(version) => write!(f, "version:{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_moment_is_written_as_it_was_read() {
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.000001Z",
            "position:0",
            "position:120",
            "version:7",
            "version:9223372036854775807",
        ] {
            assert_eq!(text.parse::<AsOf>().unwrap().to_string(), text);
        }
        let elsewhere: AsOf = "2026-01-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(elsewhere.to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "7",
            "now",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "position:",
            "position:-1",
            "position:+1",
            "position: 1",
            "version:1.0",
            "version:9223372036854775808",
            "Version:1",
        ] {
            assert_eq!(text.parse::<AsOf>(), Err(InvalidAsOf), "{text:?}");
        }
    }
}
