//! A private PgBouncer in front of a private PostgreSQL, in transaction mode.
//!
//! The pool is so small that a client gets another connection to the server at almost every
//! transaction: what relies on a session breaks here, and does so soon.
//!
//! Nothing is fetched: few systems have a version that will do, so whoever wants one names the
//! program.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::Postgres;
use crate::account::Account;
use crate::error::{Error, IoContext};
use crate::instance::Instance;
use crate::leftover::Leftover;
use crate::lifeline::{Lifeline, Service};
use crate::lookup::version_line;
use crate::port::{self, Wanted};
use crate::postgres::place;

/// The first one that knows the prepared statements of its clients on every connection.
const LOWEST_VERSION: (u32, u32) = (1, 21);

const READY_LIMIT: Duration = Duration::from_secs(30);

/// Connections to the server.
const POOL_SIZE: u32 = 3;

/// A PgBouncer of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct PgBouncer {
    program: PathBuf,
    home: PathBuf,
    log: PathBuf,
    account: Option<Account>,
    settings: Vec<String>,
    server_port: u16,
    port: u16,
    lifeline: Option<Lifeline>,
    instance: Option<Instance>,
}

impl PgBouncer {
    /// Starts `program` in front of `postgres`, for all its databases and its superuser, with
    /// `settings` of its own, each written `name = value`.
    ///
    /// # Errors
    /// It is none, is older than 1.21, or does not start.
    pub fn start_ephemeral_with(
        program: &Path,
        postgres: &Postgres,
        settings: &[&str],
    ) -> Result<Self, Error> {
        check_version(program)?;
        let instance = Instance::create()?;
        let wanted = instance.pgbouncer();
        let account = Account::for_data(&wanted)?;
        let home = place(&wanted, account.as_ref(), &|line| tracing::info!("{line}"))?;
        let mut pgbouncer = Self {
            program: program.canonicalize().doing("find", program)?,
            home,
            log: instance.log("pgbouncer"),
            account,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            server_port: postgres.port(),
            port: 0,
            lifeline: None,
            instance: Some(instance),
        };
        let (user, password) = postgres.credentials();
        pgbouncer.write(&users_file(&pgbouncer.home), &format!("\"{user}\" \"{password}\"\n"))?;
        pgbouncer.launch(Wanted::Preferably(None))?;
        Ok(pgbouncer)
    }

    /// The port on 127.0.0.1; restarts do not change it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections to the server it has at most, for each database.
    #[must_use]
    pub fn pool_size(&self) -> u32 {
        POOL_SIZE
    }

    /// The file to which it writes its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Ends it as a crash would, with SIGKILL. [`PgBouncer::restart`] brings it back.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }

    /// Starts it again on the same port, stopping it first if it runs.
    ///
    /// # Errors
    /// It did not stop, or does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.lifeline.take().map_or(Ok(()), Lifeline::stop)?;
        self.launch(Wanted::Exactly(self.port))
    }

    fn launch(&mut self, wanted: Wanted) -> Result<(), Error> {
        leftover(&self.home).end()?;
        let (port, lifeline) = port::claim(wanted, |port| self.try_launch(port))?;
        self.port = port;
        self.lifeline = Some(lifeline);
        Ok(())
    }

    fn try_launch(&self, port: u16) -> Result<Lifeline, Error> {
        let path = config_file(&self.home);
        let config = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={server_port}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             pidfile = {pid_file}\n\
             auth_type = scram-sha-256\n\
             auth_file = {users_file}\n\
             pool_mode = transaction\n\
             default_pool_size = {POOL_SIZE}\n\
             max_client_conn = 500\n\
             {settings}\n",
            server_port = self.server_port,
            pid_file = pid_file(&self.home).display(),
            users_file = users_file(&self.home).display(),
            settings = self.settings.join("\n"),
        );
        self.write(&path, &config)?;
        let mut lifeline = Lifeline::spawn(Service {
            name: "PgBouncer",
            program: &self.program,
            arguments: vec![path.into_os_string()],
            // Later versions end at TERM only when the last client has gone.
            stop_signal: "QUIT",
            account: self.account.as_ref(),
            log: &self.log,
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        lifeline.await_ready(READY_LIMIT, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })?;
        Ok(lifeline)
    }

    /// Passwords are in it, so only who runs the program reads it.
    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let _ = fs::remove_file(path);
        let mut options = fs::File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).doing("create", path)?;
        file.write_all(text.as_bytes()).doing("write", path)?;
        self.account.as_ref().map_or(Ok(()), |account| account.own(path))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let (Some(lifeline), Some(instance)) = (self.lifeline.take(), self.instance.take()) {
            let _ = thread::Builder::new().name("pgbouncer-drop".to_owned()).spawn(move || {
                let _ = lifeline.stop();
                drop(instance);
            });
        }
    }
}

/// The one that may run on the configuration in `home`.
pub(crate) fn leftover(home: &Path) -> Leftover {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    Leftover {
        service: "PgBouncer",
        pid_file: pid_file(&home),
        argument: config_file(&home),
        stop: Signal::QUIT,
        abort: Signal::KILL,
    }
}

fn config_file(home: &Path) -> PathBuf {
    home.join("pgbouncer.ini")
}

fn users_file(home: &Path) -> PathBuf {
    home.join("users.txt")
}

fn pid_file(home: &Path) -> PathBuf {
    home.join("pgbouncer.pid")
}

fn check_version(program: &Path) -> Result<(), Error> {
    let line = version_line(program).and_then(|text| text.lines().next().map(str::to_owned));
    match line.as_deref().and_then(version) {
        Some(version) if version >= LOWEST_VERSION => Ok(()),
        _ => {
            let says = line.unwrap_or_else(|| "nothing".to_owned());
            Err(Error::PgBouncerMissing { program: program.to_path_buf(), says })
        }
    }
}

/// Of "`PgBouncer 1.24.1`", and of what follows on other lines nothing.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut parts = line.strip_prefix("PgBouncer ")?.split(['.', '\n']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(version("PgBouncer 1.24.1\nlibevent 2.1.12-stable"), Some((1, 24)));
        assert_eq!(version("PgBouncer 1.18.0"), Some((1, 18)));
        assert_eq!(version("psql (PostgreSQL) 17.2"), None);
        assert!(check_version(Path::new("/bin/false")).is_err());
    }
}
