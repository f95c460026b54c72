//! Passwords that were lost elsewhere, in a file.
//!
//! The file has one line for each: the SHA-1 of the password in upper-case hexadecimal, sorted, with or
//! without a colon and a count behind it. So does the download of Pwned Passwords, ordered by hash. It
//! has tens of gigabytes and is not loaded: a look-up reads some thirty places of it, most of which the
//! system has in memory. Nothing is asked of anybody else.
//!
//! SHA-1 is what the file has; nothing here relies on its strength.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use application::ports::passwords::BreachedPasswords;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

const HASH_BYTES: usize = 40;

/// A hash, a colon, twenty digits, and the end of the line in either style.
const LONGEST_LINE_BYTES: usize = HASH_BYTES + 1 + 20 + 2;

/// So much from anywhere holds a line from its beginning to its end.
const WINDOW_BYTES: usize = 2 * LONGEST_LINE_BYTES;

/// How many lines are looked at before the file is taken for what it should be.
const FIRST_LINES: usize = 100;

/// A sorted file of hashes. It must not change while it is open; put another one in its place instead.
#[derive(Debug)]
pub struct BreachedFile {
    file: File,
    length: u64,
    path: PathBuf,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BreachedFileError {
    /// It cannot be read.
    #[error("read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "line {line} of {path} is no SHA-1 in upper-case hexadecimal that follows the one before it"
    )]
    NotSorted {
        /// The file.
        path: PathBuf,
        /// The first line that does not fit; 1 in a file of none.
        line: usize,
    },
}

/// A line of the file.
struct Line {
    hash: [u8; HASH_BYTES],
    /// Where the next one begins.
    next: u64,
}

impl BreachedFile {
    /// Opens the file and looks at its first lines.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BreachedFileError> {
        let path = path.as_ref().to_owned();
        let unreadable = |source| BreachedFileError::Unreadable { path: path.clone(), source };
        let file = File::open(&path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let opened = Self { file, length, path: path.clone() };
        let not_sorted = |line| BreachedFileError::NotSorted { path: path.clone(), line };
        let (mut start, mut last) = (0, [0; HASH_BYTES]);
        for line in 1..=FIRST_LINES {
            let found =
                opened.line_at(start).map_err(unreadable)?.ok_or_else(|| not_sorted(line))?;
            if found.hash <= last {
                return Err(not_sorted(line));
            }
            (start, last) = (found.next, found.hash);
            if start >= length {
                break;
            }
        }
        Ok(opened)
    }

    fn holds(&self, hash: &[u8; HASH_BYTES]) -> io::Result<bool> {
        // Lines that begin before `low` are less, lines that begin at `high` or behind it are greater.
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = low.midpoint(high);
            let start = self.line_start(middle, low)?;
            if start >= high {
                // One line is left of it that begins before the middle.
                high = middle;
                continue;
            }
            let line = self.line_at(start)?.ok_or(io::ErrorKind::InvalidData)?;
            match line.hash.cmp(hash) {
                std::cmp::Ordering::Less => low = line.next,
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }

    /// Where the first line begins that begins at `offset` or behind it; one begins at `low`.
    fn line_start(&self, offset: u64, low: u64) -> io::Result<u64> {
        if offset == low {
            return Ok(low);
        }
        let mut window = [0; WINDOW_BYTES];
        // From one byte before, which may be the end of a line.
        let bytes = self.read(offset - 1, &mut window)?;
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => Ok(offset + end as u64),
            None if bytes.len() < LONGEST_LINE_BYTES => Ok(self.length),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The line that begins at `start`, if it is one.
    fn line_at(&self, start: u64) -> io::Result<Option<Line>> {
        let mut window = [0; LONGEST_LINE_BYTES];
        let bytes = self.read(start, &mut window)?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let next = start + end.map_or(bytes.len(), |end| end + 1) as u64;
        if end.is_none() && next < self.length {
            return Ok(None);
        }
        let line = &bytes[..end.unwrap_or(bytes.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((hash, count)) = line.split_first_chunk::<HASH_BYTES>() else { return Ok(None) };
        let is_hash = hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        let is_count = match count.split_first() {
            None => true,
            Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
        };
        Ok((is_hash && is_count).then_some(Line { hash: *hash, next }))
    }

    /// What there is at `offset`, as much as fits.
    fn read<'a>(&self, offset: u64, window: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let mut length = 0;
        while length < window.len() {
            match self.file.read_at(&mut window[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&window[..length])
    }
}

impl BreachedPasswords for BreachedFile {
    /// A file that cannot be read knows nothing: people can still choose passwords.
    fn contains(&self, password: &str) -> bool {
        let hash = hexadecimal(digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref());
        self.holds(&hash).unwrap_or_else(|error| {
            let path = self.path.display();
            tracing::error!(error = %error, path = %path, "cannot look for lost passwords");
            false
        })
    }
}

fn hexadecimal(digest: &[u8]) -> [u8; HASH_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = [0; HASH_BYTES];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text
}

#[cfg(test)]
mod tests;
