//! The log as a file: written out whole or in part, and taken back in.
//!
//! An *archive* is everything of a log: its events, command records and claims. Taken into an empty
//! log it gives an equal one, with the same positions, versions, times and ids, so commands that
//! took effect keep their receipts (law 3) and claimed values their holders. An *extract* is what
//! of the log passes a [`Filter`](crate::Filter) or comes after a position: for readers, not to be
//! taken in. Both are lines of JSON; docs/archive-format.md says what they hold.
//!
//! - [`Export`] gives the lines, and goes on where an [`Earlier`] export was cut off.
//! - [`Import`] takes the lines of an archive, in one transaction.
//!
//! Neither touches a file: the caller moves the lines, so memory is bounded here and there.

mod batch;
mod earlier;
mod export;
mod import;
mod line;
mod source;
mod walk;

pub use earlier::{Earlier, EarlierError};
pub use export::{Chunk, Export, ResumeError, Scope};
pub use import::{Import, ImportError, Imported};
pub use walk::{Flaw, Reason};

/// Longest line that is read, in bytes: many times what the largest event takes.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
