//! Which peers there are, and in which versions they were built in.

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What cargo resolved is what was measured.
const LOCK: &str = include_str!("../Cargo.lock");

#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    PostgresEs,
    Evento,
    DisintegratePostgres,
}

#[derive(Debug, Serialize)]
pub(crate) struct Description {
    peer: &'static str,
    version: &'static str,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::PostgresEs, Self::Evento, Self::DisintegratePostgres];

    /// The name of its crate.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PostgresEs => "postgres-es",
            Self::Evento => "evento",
            Self::DisintegratePostgres => "disintegrate-postgres",
        }
    }

    pub(crate) fn version(self) -> Result<&'static str> {
        find(LOCK, self.name()).with_context(|| format!("no {} in Cargo.lock", self.name()))
    }

    pub(crate) fn describe(self) -> Result<Description> {
        Ok(Description { peer: self.name(), version: self.version()? })
    }
}

fn find<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_version() {
        for peer in Peer::ALL {
            assert!(peer.version().unwrap().starts_with(|first: char| first.is_ascii_digit()));
        }
        assert_eq!(find(LOCK, "no-such-crate"), None);
    }
}
