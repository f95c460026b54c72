//! Random characters from the system, for passwords and names.
//!
//! Not through `uuid` or `rand`: ids in Annals are passed in, and testkit needs only this.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, IoContext};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// `length` random lowercase letters and digits, 5 bits each.
pub(crate) fn characters(length: usize) -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = vec![0; length];
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).doing("read", source)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// A random number below `bound`, which is small against 2^32.
pub(crate) fn below(bound: u32) -> Result<u32, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 4];
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).doing("read", source)?;
    Ok(u32::from_ne_bytes(bytes) % bound)
}
