//! Look-ups in files as they are, and in files as they should not be.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// A file that is gone with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn of(bytes: &[u8]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("annals-breached-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn hash(password: &str) -> [u8; HASH_BYTES] {
    hexadecimal(digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref())
}

/// The hashes of `passwords` with what stands behind each.
fn lines(passwords: &[&str], behind: impl Fn(usize) -> String) -> Vec<u8> {
    let hashes: BTreeSet<_> = passwords.iter().map(|password| hash(password)).collect();
    let line = |(index, hash): (usize, &[u8; HASH_BYTES])| {
        format!("{}{}", str::from_utf8(hash).unwrap(), behind(index))
    };
    hashes.iter().enumerate().map(line).collect::<String>().into_bytes()
}

fn refused_line(bytes: &[u8]) -> usize {
    match BreachedFile::open(&Scratch::of(bytes).0).unwrap_err() {
        BreachedFileError::NotSorted { line, .. } => line,
        error @ BreachedFileError::Unreadable { .. } => panic!("{error}"),
    }
}

#[test]
fn hashes_are_those_of_the_download() {
    assert_eq!(&hash("password"), b"5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
}

#[test]
fn a_password_is_found_whatever_the_style_of_the_lines() {
    let passwords = ["password", "letmein", "dragon", "four grey owls", ""];
    let styles: [fn(usize) -> String; 4] = [
        |_| "\n".to_owned(),
        |_| "\r\n".to_owned(),
        |index| format!(":{}\r\n", 7_usize.pow(u32::try_from(index).unwrap() * 4)),
        |index| if index == 4 { ":1".to_owned() } else { ":18446744073709551615\n".to_owned() },
    ];
    for style in styles {
        let scratch = Scratch::of(&lines(&passwords, style));
        let file = BreachedFile::open(&scratch.0).unwrap();
        for password in passwords {
            assert!(file.contains(password), "{password}");
        }
        for password in ["Password", "password ", "owls", "x"] {
            assert!(!file.contains(password), "{password}");
        }
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    let sorted = lines(&["a", "b", "c"], |_| "\n".to_owned());
    let (first, rest) = sorted.split_at(41);
    assert_eq!(refused_line(b""), 1);
    assert_eq!(refused_line(b"\n"), 1);
    assert_eq!(refused_line(b"password\nletmein\n"), 1);
    assert_eq!(refused_line(&first[1..]), 1);
    assert_eq!(refused_line(&sorted.to_ascii_lowercase()), 1);
    assert_eq!(refused_line(&[rest, first].concat()), 3);
    assert_eq!(refused_line(&[first, first].concat()), 2);
    assert_eq!(refused_line(&[first, b"\n"].concat()), 2);
    assert_eq!(refused_line(&[&first[..40], b":many\n"].concat()), 1);
    assert_eq!(refused_line(&[first, &[b'A'; 500]].concat()), 2);
    let missing = BreachedFile::open("/nowhere/at/all").unwrap_err();
    assert!(matches!(missing, BreachedFileError::Unreadable { .. }), "{missing}");
}

#[test]
fn a_file_that_is_broken_further_down_knows_nothing_there() {
    let many: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let mut bytes = lines(&many, |_| "\n".to_owned());
    let length = bytes.len();
    bytes[length / 2 - 500..length / 2 + 500].fill(b'x');
    let scratch = Scratch::of(&bytes);
    let file = BreachedFile::open(&scratch.0).unwrap();
    assert!(many.iter().all(|password| !file.contains(password)));
}

proptest! {
    #[test]
    fn exactly_what_is_in_the_file_is_found(
        passwords in prop::collection::btree_set("[a-z]{1,3}", 1..200),
        asked in prop::collection::vec("[a-z]{1,3}", 20),
        counts in prop::collection::vec(any::<Option<u64>>(), 200), carriage in any::<bool>(),
        last_ends in any::<bool>(),
    ) {
        let list: Vec<_> = passwords.iter().map(String::as_str).collect();
        let end = if carriage { "\r\n" } else { "\n" };
        let mut bytes = lines(&list, |index| match counts[index] {
            Some(count) => format!(":{count}{end}"),
            None => end.to_owned(),
        });
        if !last_ends {
            bytes.truncate(bytes.len() - end.len());
        }
        let scratch = Scratch::of(&bytes);
        let file = BreachedFile::open(&scratch.0).unwrap();
        for password in &passwords {
            prop_assert!(file.contains(password));
        }
        for password in asked {
            prop_assert_eq!(file.contains(&password), passwords.contains(&password));
        }
    }
}
