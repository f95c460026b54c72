//! A private nats-server with JetStream.
//!
//! It listens on 127.0.0.1 only and lets everyone in there, as a developer's tools expect.
//! Its store is under the caller's directory and survives restarts and kill -9.

mod cluster;
mod locate;
mod wheel;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Error, IoContext};
use crate::instance::{self, Instance};
use crate::leftover::Leftover;
use crate::lifeline::{Lifeline, Service};
use crate::lookup::Search;
use crate::port::{self, Wanted};
use crate::random;
use cluster::Member;
pub use cluster::NatsCluster;

/// After a crash the store is checked before the server listens.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// Where a server keeps its things, and for whom it is.
pub(crate) struct Site<'a> {
    /// Holds the configuration and the store.
    pub(crate) home: &'a Path,
    /// Holds a nats-server that was fetched.
    pub(crate) bin: &'a Path,
    pub(crate) log: PathBuf,
    pub(crate) report: &'a dyn Fn(&str),
}

/// A nats-server of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    home: PathBuf,
    log: PathBuf,
    port: u16,
    /// A line of the configuration: who may connect, if not everybody.
    authorization: Option<String>,
    /// Its part in a cluster, if it has one.
    member: Option<Member>,
    lifeline: Option<Lifeline>,
    instance: Option<Instance>,
}

impl Nats {
    /// Starts a server with an empty store for one test, which may then kill, freeze and
    /// restart it. Tests that only want a stream share one: [`crate::TestBroker::shared`].
    ///
    /// Blocks for some tens of milliseconds. The store is removed when it stops.
    ///
    /// # Errors
    /// No nats-server can be found or fetched, or it does not start.
    pub fn start_ephemeral() -> Result<Self, Error> {
        let instance = Instance::create()?;
        let report = |line: &str| tracing::info!("{line}");
        let mut nats = Self::start(&Site {
            home: &instance.nats(),
            bin: &instance::bin(),
            log: instance.log("nats"),
            report: &report,
        })?;
        nats.instance = Some(instance);
        Ok(nats)
    }

    /// Starts a server on the store of its last run.
    pub(crate) fn start(site: &Site<'_>) -> Result<Self, Error> {
        Self::start_as(site, None)
    }

    fn start_as(site: &Site<'_>, member: Option<Member>) -> Result<Self, Error> {
        let program = locate::locate(&Search::path(), site.bin, site.report)?;
        fs::create_dir_all(site.home).doing("create directory", site.home)?;
        let home = site.home.canonicalize().doing("find", site.home)?;
        let last_port_file = home.join("port");
        let last_port =
            fs::read_to_string(&last_port_file).ok().and_then(|text| text.trim().parse().ok());
        let mut nats = Self {
            program,
            home,
            log: site.log.clone(),
            port: 0,
            authorization: None,
            member,
            lifeline: None,
            instance: None,
        };
        nats.launch(Wanted::Preferably(last_port))?;
        let _ = fs::write(last_port_file, format!("{}\n", nats.port));
        Ok(nats)
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1; restarts do not change it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server, or 0 when it was stopped or killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.lifeline.as_ref().map_or(0, Lifeline::pid)
    }

    /// The file to which the server writes its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The directory in which JetStream keeps its streams, for a test that takes a copy to
    /// put back later, as a restored backup would.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.home.join("jetstream")
    }

    /// Ends the server as a crash would, with SIGKILL. [`Nats::restart`] brings it back.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }

    /// Stops the server, keeping store and port for a later [`Nats::restart`].
    ///
    /// # Errors
    /// It did not stop in 20 s and was killed.
    pub fn halt(&mut self) -> Result<(), Error> {
        self.lifeline.take().map_or(Ok(()), Lifeline::stop)
    }

    /// Starts the server again on the same port with the same store, stopping it first if
    /// it runs.
    ///
    /// # Errors
    /// It did not stop, or does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.halt()?;
        self.launch(Wanted::Exactly(self.port))
    }

    /// Starts the server again, now for clients that know this name and password only;
    /// [`Nats::url`] does not hold them.
    ///
    /// # Errors
    /// It did not stop, or does not start.
    pub fn require(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let (user, password) = (quoted(user), quoted(password));
        self.authorize(&format!("authorization {{ user: {user}, password: {password} }}\n"))
    }

    /// Starts the server again, now with these lines of configuration, which say who may do what.
    ///
    /// # Errors
    /// It did not stop, or does not start.
    pub fn authorize(&mut self, lines: &str) -> Result<(), Error> {
        self.authorization = Some(lines.to_owned());
        self.restart()
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

    /// Freezes the server with SIGSTOP: connections stay open and nothing answers.
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
        leftover(&self.home).end()?;
        let (port, lifeline) = port::claim(wanted, |port| self.try_launch(port))?;
        self.port = port;
        self.lifeline = Some(lifeline);
        Ok(())
    }

    fn try_launch(&self, port: u16) -> Result<Lifeline, Error> {
        // Known to nobody else, so the answer on the port tells whether the server is ours.
        let server_name = match &self.member {
            None => format!("annals-{}", random::characters(12)?),
            // Its peers know it by its name, for ever.
            Some(member) => member.name().to_owned(),
        };
        let path = config_file(&self.home);
        let config = format!(
            "# Written at every start of the private server.\n\
             server_name: {server_name}\n\
             listen: \"127.0.0.1:{port}\"\n\
             pid_file: {pid_file}\n\
             jetstream {{ store_dir: {store} }}\n\
             {authorization}{cluster}",
            cluster = self.member.as_ref().map(Member::config).unwrap_or_default(),
            authorization = self.authorization.as_deref().unwrap_or_default(),
            pid_file = quoted(&pid_file(&self.home).to_string_lossy()),
            store = quoted(&self.store().to_string_lossy()),
        );
        fs::write(&path, config).doing("write", &path)?;
        let mut lifeline = Lifeline::spawn(Service {
            name: "nats-server",
            program: &self.program,
            arguments: vec!["--config".into(), path.into_os_string()],
            stop_signal: "TERM",
            account: None,
            log: &self.log,
        })?;
        lifeline.await_ready(READY_LIMIT, || {
            greeting(port).is_some_and(|info| {
                // The server listens only after JetStream has recovered its streams.
                info.contains(&server_name) && info.contains(r#""jetstream":true"#)
            })
        })?;
        Ok(lifeline)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // The store of a test can go only after the server.
        if let (Some(lifeline), Some(instance)) = (self.lifeline.take(), self.instance.take()) {
            let _ = thread::Builder::new().name("nats-drop".to_owned()).spawn(move || {
                let _ = lifeline.stop();
                drop(instance);
            });
        }
    }
}

/// The server that may run on the store in `home`.
pub(crate) fn leftover(home: &Path) -> Leftover {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    Leftover {
        service: "nats-server",
        pid_file: pid_file(&home),
        argument: config_file(&home),
        stop: Signal::TERM,
        abort: Signal::KILL,
    }
}

fn config_file(home: &Path) -> PathBuf {
    home.join("nats.conf")
}

fn pid_file(home: &Path) -> PathBuf {
    home.join("nats.pid")
}

/// A string of the configuration language.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

/// The `INFO` line with which a server greets each connection.
fn greeting(port: u16) -> Option<String> {
    let limit = Duration::from_secs(1);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let mut line = String::new();
    BufReader::new(stream.take(64 * 1024)).read_line(&mut line).ok()?;
    line.starts_with("INFO ").then_some(line)
}
