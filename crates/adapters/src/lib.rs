//! Real implementations of the application's ports, one file each.

mod system_clock;
mod time_ordered_ids;

pub use system_clock::SystemClock;
pub use time_ordered_ids::TimeOrderedIds;
