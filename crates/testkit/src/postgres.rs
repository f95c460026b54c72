//! A private PostgreSQL server.
//!
//! It listens on 127.0.0.1 only, wants a password, and is as durable as production: fsync,
//! synchronous commit and full page writes are on, in tests too, because what the tests of
//! this repository prove about crashes they must prove about those settings.

mod cluster;
mod locate;
mod placement;

use std::path::{Path, PathBuf};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

pub(crate) use self::cluster::leftover;
use self::cluster::{Cluster, NAME};
pub(crate) use self::placement::{place, remove};
use crate::error::Error;
use crate::instance::Instance;
use crate::lifeline::{Lifeline, Service};
use crate::port::{self, Wanted};

/// After a crash of a busy server, recovery comes before readiness.
const READY_LIMIT: Duration = Duration::from_mins(2);
const MEMORY_LIMIT: Duration = Duration::from_secs(30);

/// Where a server keeps its things, and for whom it is.
pub(crate) struct Site<'a> {
    /// Holds the data directory and its password.
    pub(crate) home: &'a Path,
    pub(crate) log: PathBuf,
    pub(crate) report: &'a dyn Fn(&str),
}

/// A PostgreSQL server of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct Postgres {
    cluster: Cluster,
    log: PathBuf,
    settings: Vec<String>,
    port: u16,
    lifeline: Option<Lifeline>,
    instance: Option<Instance>,
}

impl Postgres {
    /// Starts a server with fresh data for one test, which may then kill, freeze and
    /// restart it. Tests that only want a database share one: [`crate::TestDatabase::create`].
    ///
    /// Takes about two seconds and blocks. The data is removed when it stops.
    ///
    /// # Errors
    /// No PostgreSQL can be found or installed, or it does not start.
    pub fn start_ephemeral() -> Result<Self, Error> {
        Self::start_ephemeral_with(&["shared_buffers=128MB"])
    }

    /// [`Postgres::start_ephemeral`] with `settings` of its own, each written `name=value`.
    ///
    /// # Errors
    /// As [`Postgres::start_ephemeral`], or a setting is not known.
    pub fn start_ephemeral_with(settings: &[&str]) -> Result<Self, Error> {
        let instance = Instance::create()?;
        let report = |line: &str| tracing::info!("{line}");
        let home = instance.postgres();
        let site = Site { home: &home, log: instance.log("postgres"), report: &report };
        let mut postgres = Self::open(&site, false, settings)?;
        postgres.instance = Some(instance);
        Ok(postgres)
    }

    /// Starts the server of a development directory, on the data of its last run.
    pub(crate) fn start(site: &Site<'_>) -> Result<Self, Error> {
        Self::open(site, true, &["shared_buffers=256MB"])
    }

    fn open(site: &Site<'_>, durable: bool, settings: &[&str]) -> Result<Self, Error> {
        let cluster = Cluster::open(site.home, durable, site.report)?;
        let wanted = Wanted::Preferably(cluster.last_port());
        let mut postgres = Self {
            cluster,
            log: site.log.clone(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            port: 0,
            lifeline: None,
            instance: None,
        };
        postgres.launch(wanted)?;
        postgres.cluster.keep_port(postgres.port);
        Ok(postgres)
    }

    /// The connection URL of the database `annals`, which every private server has, as its
    /// superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url(NAME)
    }

    /// The connection URL of the database `name`, which need not exist.
    #[must_use]
    pub fn database_url(&self, name: &str) -> String {
        format!("postgres://{NAME}:{}@127.0.0.1:{}/{name}", self.cluster.password, self.port)
    }

    /// The superuser and its password.
    pub(crate) fn credentials(&self) -> (&str, &str) {
        (NAME, &self.cluster.password)
    }

    /// The port on 127.0.0.1; restarts do not change it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster, or 0 when it was stopped or killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.lifeline.as_ref().map_or(0, Lifeline::pid)
    }

    /// The file to which the server writes its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// A program that comes with the server, for example `pg_dump`, of the same version.
    ///
    /// On the `PATH` there may be no more than a link to the server; the others are where it leads.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let server = &self.cluster.binaries.postgres;
        let beside = server.with_file_name(name);
        match server.canonicalize() {
            Ok(server) if !beside.is_file() => server.with_file_name(name),
            _ => beside,
        }
    }

    /// Where the server keeps its files.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.cluster.data()
    }

    /// Ends the server as a crash would: SIGKILL to the postmaster and to every backend.
    /// [`Postgres::restart`] brings it back, after recovery.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }

    /// Stops the server (fast shutdown: sessions are cut, committed data is safe), keeping
    /// data and port for a later [`Postgres::restart`].
    ///
    /// # Errors
    /// It did not stop in 20 s and was killed.
    pub fn halt(&mut self) -> Result<(), Error> {
        self.lifeline.take().map_or(Ok(()), Lifeline::stop)
    }

    /// Starts the server again on the same port with the same data, stopping it first if
    /// it runs.
    ///
    /// # Errors
    /// It did not stop, or does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.halt()?;
        self.launch(Wanted::Exactly(self.port))
    }

    /// Stops the server for good.
    ///
    /// # Errors
    /// It did not stop in 20 s and was killed.
    pub fn stop(mut self) -> Result<(), Error> {
        let stopped = self.halt();
        self.instance = None;
        stopped
    }

    /// Freezes the postmaster and every backend with SIGSTOP: connections stay open and
    /// nothing answers.
    pub fn pause(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.freeze();
        }
    }

    /// Lets a paused server run on.
    pub fn resume(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.thaw();
        }
    }

    fn launch(&mut self, wanted: Wanted) -> Result<(), Error> {
        let deadline = Instant::now() + MEMORY_LIMIT;
        let (port, lifeline) = port::claim(wanted, |port| {
            loop {
                self.cluster.leftover().end()?;
                match self.try_launch(port) {
                    Err(error) if error.is_memory_still_held() && Instant::now() < deadline => {
                        sleep(Duration::from_millis(100));
                    }
                    outcome => return outcome,
                }
            }
        })?;
        self.port = port;
        self.lifeline = Some(lifeline);
        Ok(())
    }

    fn try_launch(&self, port: u16) -> Result<Lifeline, Error> {
        let mut arguments = vec!["-D".into(), self.cluster.data().into_os_string()];
        for setting in [
            &format!("port={port}"),
            "listen_addresses=127.0.0.1",
            // No socket file: its path would be limited to about 100 characters.
            "unix_socket_directories=",
            "max_connections=200",
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=%m [%p] ",
            "lc_messages=C",
            "log_timezone=UTC",
            "timezone=UTC",
        ]
        .into_iter()
        .chain(self.settings.iter().map(String::as_str))
        {
            arguments.push("-c".into());
            arguments.push(setting.into());
        }
        let mut lifeline = Lifeline::spawn(Service {
            name: "PostgreSQL",
            program: &self.cluster.binaries.postgres,
            arguments,
            stop_signal: "INT",
            account: self.cluster.account.as_ref(),
            log: &self.log,
        })?;
        let pid = lifeline.pid();
        lifeline.await_ready(READY_LIMIT, || self.cluster.is_ready(pid))?;
        Ok(lifeline)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The data of a test can go only after the server; without a test to clean up for,
        // closing the lifeline is enough.
        if let (Some(lifeline), Some(instance)) = (self.lifeline.take(), self.instance.take()) {
            let _ = thread::Builder::new().name("postgres-drop".to_owned()).spawn(move || {
                let _ = lifeline.stop();
                drop(instance);
            });
        }
    }
}
