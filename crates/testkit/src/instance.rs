//! The data directories of test servers: `<workspace>/.annals/test/<pid>-<number>`.
//!
//! Each is locked by the process that made it, so a directory whose lock is free belongs to
//! nobody: its process has ended, maybe by kill -9. Whoever makes the next one sweeps those
//! away. Logs are not in it but under `.annals/log/test`, where those of the last runs stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::error::{Error, IoContext};
use crate::root_lock::{RootLock, exclusive};
use crate::{nats, pgbouncer, postgres};

/// How many log files of runs that have ended are kept.
const KEPT_LOGS: usize = 40;

/// A locked data directory; its content is removed on drop.
#[derive(Debug)]
pub(crate) struct Instance {
    root: PathBuf,
    logs: PathBuf,
    name: String,
    _lock: RootLock,
}

impl Instance {
    /// Makes a new one, and sweeps away those of processes that have ended.
    pub(crate) fn create() -> Result<Self, Error> {
        Self::create_in(&annals())
    }

    fn create_in(annals: &Path) -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(1);

        let tests = annals.join("test");
        fs::create_dir_all(&tests).doing("create directory", &tests)?;
        let tests = tests.canonicalize().doing("find", &tests)?;
        // Between making a directory and locking it, nobody may sweep it away.
        let _turn = exclusive(&tests.join("lock"))?;
        sweep(&tests);
        let logs = tests.with_file_name("log").join("test");
        sweep_logs(&logs);
        let name = format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = tests.join(&name);
        fs::create_dir_all(&root).doing("create directory", &root)?;
        let lock = RootLock::take(&root)?;
        Ok(Self { root, logs, name, _lock: lock })
    }

    /// Where PostgreSQL's data goes.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// Where the store of nats-server goes.
    pub(crate) fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// Where the configuration of PgBouncer goes.
    pub(crate) fn pgbouncer(&self) -> PathBuf {
        self.root.join("pgbouncer")
    }

    /// Where the configuration of HAProxy goes.
    pub(crate) fn haproxy(&self) -> PathBuf {
        self.root.join("haproxy")
    }

    /// Where the mail server keeps what it is told and what it takes.
    pub(crate) fn smtp_sink(&self) -> PathBuf {
        self.root.join("smtp-sink")
    }

    /// Where the provider of identities is told who has an account.
    pub(crate) fn oidc_provider(&self) -> PathBuf {
        self.root.join("oidc-provider")
    }

    /// The log file of a service.
    pub(crate) fn log(&self, service: &str) -> PathBuf {
        self.logs.join(format!("{}-{service}.log", self.name))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        remove(&self.root);
    }
}

/// Where `nats-server` is kept once it was fetched.
pub(crate) fn bin() -> PathBuf {
    annals().join("bin")
}

/// Where packages for programs in Python are kept once they were fetched.
pub(crate) fn python() -> PathBuf {
    annals().join("python")
}

/// Where packages of npm are kept once they were fetched.
pub(crate) fn node() -> PathBuf {
    annals().join("node")
}

/// `.annals` of the checkout from which this was compiled.
fn annals() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.annals")
}

fn sweep(tests: &Path) {
    let Ok(entries) = tests.read_dir() else { return };
    for root in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        // Held until the directory is gone.
        let Ok(Ok(_lock)) = RootLock::try_take(&root) else { continue };
        let leftovers = [
            pgbouncer::leftover(&root.join("pgbouncer")),
            postgres::leftover(&root.join("postgres")),
            nats::leftover(&root.join("nats")),
        ];
        let mut is_in_use = false;
        for leftover in leftovers {
            // Stopping under its lifeline, or orphaned if somebody killed that too. The data
            // is lost anyway, so the quickest way will do; it goes at the next sweep.
            is_in_use |= leftover.abort();
        }
        if !is_in_use {
            remove(&root);
        }
    }
}

fn remove(root: &Path) {
    postgres::remove(&root.join("postgres"));
    postgres::remove(&root.join("pgbouncer"));
    let _ = fs::remove_dir_all(root);
}

fn sweep_logs(logs: &Path) {
    let Ok(entries) = logs.read_dir() else { return };
    let mut logs: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    logs.sort();
    let surplus = logs.len().saturating_sub(KEPT_LOGS);
    for (_, path) in logs.drain(..surplus) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Scratch;

    #[test]
    fn directories_of_dead_processes_are_swept_and_those_of_the_living_stay() {
        let scratch = Scratch::new();
        let dead = scratch.0.join("test/1-1");
        fs::create_dir_all(dead.join("postgres/data")).unwrap();
        // Unlocked, and its pid file names a process that is no server.
        fs::write(dead.join("postgres/data/postmaster.pid"), "1\n").unwrap();
        let living = Instance::create_in(&scratch.0).unwrap();
        fs::create_dir(living.nats()).unwrap();
        assert!(!dead.exists());

        let other = Instance::create_in(&scratch.0).unwrap();
        assert!(living.nats().exists(), "swept while it was locked");
        assert_ne!(living.root, other.root);
        let root = living.root.clone();
        drop(living);
        assert!(!root.exists());
    }

    #[test]
    fn the_logs_of_the_last_runs_are_kept() {
        let scratch = Scratch::new();
        let logs = scratch.0.join("log/test");
        fs::create_dir_all(&logs).unwrap();
        for run in 0..KEPT_LOGS + 5 {
            fs::write(logs.join(format!("{run}-1-nats.log")), "").unwrap();
        }
        drop(Instance::create_in(&scratch.0).unwrap());
        assert_eq!(logs.read_dir().unwrap().count(), KEPT_LOGS);
    }
}
