//! How many connections the system lets this process have.

use api::serve::Limits;
use rustix::process::{Resource, getrlimit, setrlimit};

/// For the database, the broker, files, and what the runtime needs.
const OTHERS: u64 = 256;

/// `limits` with no more connections than there are file descriptors for; asks the system for as
/// many as it may give, because what a shell gives by default is few.
pub fn bound(limits: Limits) -> Limits {
    let mut allowed = getrlimit(Resource::Nofile);
    if allowed.current != allowed.maximum {
        let most = rustix::process::Rlimit { current: allowed.maximum, ..allowed };
        if setrlimit(Resource::Nofile, most).is_ok() {
            allowed = most;
        }
    }
    let Some(most) = allowed.current else { return limits };
    // Half of very few, so that there is always room for somebody.
    let most = most.saturating_sub(OTHERS).max(most / 2).max(1);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most < limits.connections {
        tracing::warn!(
            http.connections = most,
            "fewer connections than `http.max_connections`: the system allows this process no \
             more open files"
        );
    }
    Limits { connections: limits.connections.min(most), ..limits }
}
