//! The services of `annals dev`: those that nobody gave, started together.
//!
//! Under `root`, which is `<checkout>/.annals`:
//!
//! ```text
//! lock       held while they run, with the process id of the holder
//! postgres/  data, password, last port
//! nats/      store, configuration, last port
//! bin/       nats-server, if it had to be fetched
//! log/       postgres.log, nats.log
//! ```

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext};
use crate::root_lock::RootLock;
use crate::{Nats, Postgres, nats, postgres};

/// What to start, and where.
#[derive(Clone)]
pub struct ServiceOptions<'a> {
    /// Directory of data, logs and fetched programs; made if missing. One process at a time.
    pub root: PathBuf,
    /// A PostgreSQL that runs already, used instead of a private one.
    pub database_url: Option<String>,
    /// A nats-server that runs already, used instead of a private one.
    pub nats_url: Option<String>,
    /// Told, a line each, what takes long or may surprise.
    pub report: &'a dyn Fn(&str),
}

impl fmt::Debug for ServiceOptions<'_> {
    /// Without the URLs, which may hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServiceOptions").field("root", &self.root).finish_non_exhaustive()
    }
}

/// PostgreSQL and NATS, ours or given; ours stop when this value is dropped or this
/// process ends.
#[derive(Debug)]
pub struct Services {
    /// The private server, unless one was given.
    pub postgres: Option<Postgres>,
    /// The private server, unless one was given.
    pub nats: Option<Nats>,
    /// Where the database is.
    pub database_url: String,
    /// Where the broker is.
    pub nats_url: String,
    _lock: Option<RootLock>,
}

impl Services {
    /// Starts what is not given and waits until it is ready. Blocks: a first start makes a
    /// data directory (2 s) and may install PostgreSQL or fetch nats-server (a minute).
    ///
    /// # Errors
    /// [`Error::AlreadyRunning`]: another process runs services under this root.
    /// Others: a service cannot be found, installed or started; the message says what to do.
    pub fn start(options: &ServiceOptions<'_>) -> Result<Self, Error> {
        let ServiceOptions { root, database_url, nats_url, report } = options;
        if let (Some(database_url), Some(nats_url)) = (database_url, nats_url) {
            let (database_url, nats_url) = (database_url.clone(), nats_url.clone());
            return Ok(Self { postgres: None, nats: None, database_url, nats_url, _lock: None });
        }
        fs::create_dir_all(root).doing("create directory", root)?;
        let root = root.canonicalize().doing("find", root)?;
        let lock = RootLock::take(&root)?;
        let log = |service: &str| root.join("log").join(format!("{service}.log"));

        let (database_url, postgres) = if let Some(url) = database_url {
            (url.clone(), None)
        } else {
            let postgres = start_postgres(&root, log("postgres"), *report)?;
            (postgres.url(), Some(postgres))
        };
        let (nats_url, nats) = if let Some(url) = nats_url {
            (url.clone(), None)
        } else {
            let nats = start_nats(&root, log("nats"), *report)?;
            (nats.url(), Some(nats))
        };
        Ok(Self { postgres, nats, database_url, nats_url, _lock: Some(lock) })
    }

    /// Stops what was started and waits for it: the broker first, which nobody waits for.
    ///
    /// # Errors
    /// [`Error::Killed`]: one did not stop in 20 s. Both are down in any case.
    pub fn stop(mut self) -> Result<(), Error> {
        let nats = self.nats.take().map_or(Ok(()), Nats::stop);
        let postgres = self.postgres.take().map_or(Ok(()), Postgres::stop);
        nats.and(postgres)
    }
}

fn start_postgres(root: &Path, log: PathBuf, report: &dyn Fn(&str)) -> Result<Postgres, Error> {
    Postgres::start(&postgres::Site { home: &root.join("postgres"), log, report })
}

fn start_nats(root: &Path, log: PathBuf, report: &dyn Fn(&str)) -> Result<Nats, Error> {
    Nats::start(&nats::Site { home: &root.join("nats"), bin: &root.join("bin"), log, report })
}
