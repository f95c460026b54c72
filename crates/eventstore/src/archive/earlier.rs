//! An earlier export, perhaps cut off, and how much of it stands.

use std::io::{self, BufRead, Read as _};

use super::line::{EventLine, Line};
use super::walk::{Tally, Walk};
use super::{Flaw, MAX_LINE_BYTES};
use crate::Position;

/// What an earlier export left behind, cut back to where another can go on.
///
/// The last event and everything behind it is written anew: the claims are those of the end of the
/// log, and only an event proves that all records of commands in front of it are there.
#[derive(Debug)]
pub struct Earlier {
    pub(super) walk: Walk,
    pub(super) tally: Tally,
    pub(super) after: Position,
    /// The last event, which the log must hold as it is here.
    pub(super) last: Option<EventLine>,
    bytes: u64,
}

/// Why an export cannot go on where an earlier one ended.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// It is none, or was changed.
    #[error("this is no export to go on with")]
    Flawed(#[source] Flaw),
    /// It cannot be read.
    #[error("read the earlier export")]
    Read(#[source] io::Error),
}

impl Earlier {
    /// Reads what an earlier export wrote, to its end; `None` if not even the header is complete.
    ///
    /// A last line without a line break was torn off and does not count.
    ///
    /// # Errors
    /// [`EarlierError`].
    pub fn read(mut source: impl BufRead) -> Result<Option<Self>, EarlierError> {
        let Some(header) = next_line(&mut source)? else { return Ok(None) };
        let walk = Walk::begin(&header).map_err(EarlierError::Flawed)?;
        let mut bytes = header.len() as u64 + 1;
        let (tally, after) = (walk.tally.clone(), walk.position());
        let mut earlier = Self { walk, tally, after, last: None, bytes };
        while let Some(text) = next_line(&mut source)? {
            let (tally, after) = (earlier.walk.tally.clone(), earlier.walk.position());
            let line = earlier.walk.step(&text).map_err(EarlierError::Flawed)?;
            if let Line::Event(event) = line {
                earlier = Self { tally, after, last: Some(*event), bytes, ..earlier };
            }
            bytes += text.len() as u64 + 1;
        }
        Ok(Some(earlier))
    }

    /// How many bytes of it stand: cut it there, and write behind.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The next line without its line break; `None` if there is no other complete one.
fn next_line(source: &mut impl BufRead) -> Result<Option<String>, EarlierError> {
    let mut line = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    source.by_ref().take(limit).read_until(b'\n', &mut line).map_err(EarlierError::Read)?;
    if line.pop() != Some(b'\n') {
        let is_long = line.len() >= MAX_LINE_BYTES;
        let long = || io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any");
        return if is_long { Err(EarlierError::Read(long())) } else { Ok(None) };
    }
    let text = String::from_utf8(line);
    let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    text.map(Some).map_err(EarlierError::Read)
}
