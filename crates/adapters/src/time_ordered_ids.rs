//! Ids that sort by the time they were made.

use application::ports::IdSource;
use uuid::Uuid;

/// Makes UUIDv7: 48 bits of time, a counter within the millisecond, and randomness.
#[derive(Debug, Clone, Copy)]
pub struct TimeOrderedIds;

impl IdSource for TimeOrderedIds {
    #[expect(clippy::disallowed_methods, reason = "this is the source that everybody else takes")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
