//! A PostgreSQL data directory: found, or made once.
//!
//! `<home>/data` is the cluster and appears only when it is complete: it is made under
//! another name and renamed, so an interrupted `initdb` is simply done again.
//! `<home>/password` (mode 0600) is the password of the superuser role `annals`, kept so
//! that the directory can be opened again, and `<home>/port` the last port, so that the
//! connection URL of a development server stays the same from run to run.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::locate::{self, Binaries};
use super::placement;
use crate::account::Account;
use crate::error::{Error, IoContext};
use crate::leftover::Leftover;
use crate::package_manager::run;
use crate::random;

/// The superuser role and the database of every private server.
pub(crate) const NAME: &str = "annals";

/// A complete data directory and what it takes to run it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) binaries: Binaries,
    pub(crate) password: String,
    pub(crate) account: Option<Account>,
    home: PathBuf,
}

impl Cluster {
    /// Opens the cluster at `wanted`, making it if there is none. `durable` is false for
    /// one that is thrown away with its test run: making it then skips the fsyncs.
    pub(crate) fn open(wanted: &Path, durable: bool, report: &dyn Fn(&str)) -> Result<Self, Error> {
        let account = Account::for_data(&wanted.join("data"))?;
        let home = placement::place(wanted, account.as_ref(), report)?;
        let data = home.join("data");
        let made_by = fs::read_to_string(data.join("PG_VERSION"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let binaries = locate::locate(
            locate::usual_places,
            made_by.map(|major| (major, data.as_path())),
            report,
        )?;
        let mut cluster = Self { binaries, password: String::new(), account, home };
        if made_by.is_some() {
            cluster.leftover().end()?;
        } else {
            report(&format!("making a PostgreSQL {} data directory", cluster.binaries.major));
            cluster.make(durable)?;
        }
        let path = cluster.password_file();
        fs::read_to_string(&path).doing("read", &path)?.trim().clone_into(&mut cluster.password);
        Ok(cluster)
    }

    /// The data directory proper.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The port of the last run.
    pub(crate) fn last_port(&self) -> Option<u16> {
        fs::read_to_string(self.home.join("port")).ok()?.trim().parse().ok()
    }

    /// Remembers the port for the next run, if it can.
    pub(crate) fn keep_port(&self, port: u16) {
        let _ = fs::write(self.home.join("port"), format!("{port}\n"));
    }

    /// Whether the postmaster `pid` says that it accepts connections.
    ///
    /// As `pg_ctl --wait` learns it: the eighth line of `postmaster.pid`.
    pub(crate) fn is_ready(&self, pid: u32) -> bool {
        fs::read_to_string(self.data().join("postmaster.pid")).is_ok_and(|text| {
            let mut lines = text.lines().map(str::trim);
            lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
        })
    }

    /// The server that may run on this data.
    pub(crate) fn leftover(&self) -> Leftover {
        leftover(&self.home)
    }

    fn make(&self, durable: bool) -> Result<(), Error> {
        let new = self.home.join("data.new");
        if new.exists() {
            fs::remove_dir_all(&new).doing("remove directory", &new)?;
        }
        self.write_password()?;
        let made = self.initdb(&new, durable, "C.UTF-8");
        if let Err(Error::Command { output, .. }) = &made
            && output.contains("locale")
        {
            let _ = fs::remove_dir_all(&new);
            self.initdb(&new, durable, "C")?;
        } else {
            made?;
        }
        self.create_database(&new, durable)?;
        fs::rename(&new, self.data()).doing("rename", &new)
    }

    fn initdb(&self, new: &Path, durable: bool, locale: &str) -> Result<(), Error> {
        let mut command = self.command(&self.binaries.initdb);
        command
            .arg("--pgdata")
            .arg(new)
            .arg("--pwfile")
            .arg(self.password_file())
            .args(["--username", NAME, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", locale]);
        if !durable {
            command.arg("--no-sync");
        }
        run(&mut command).map(drop)
    }

    /// In single-user mode, so that a cluster is complete before any client sees it.
    fn create_database(&self, new: &Path, durable: bool) -> Result<(), Error> {
        let mut command = self.command(&self.binaries.postgres);
        command.args(["--single", "-D"]).arg(new);
        if !durable {
            command.args(["-c", "fsync=off"]);
        }
        command.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = &self.binaries.postgres;
        let mut child = command.spawn().doing("run", program)?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "CREATE DATABASE {NAME};").doing("write to", program)?;
        }
        let output = child.wait_with_output().doing("wait for", program)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && !errors.contains("ERROR:") {
            return Ok(());
        }
        let command = format!("CREATE DATABASE {NAME}");
        Err(Error::Command { command, output: errors.into_owned() })
    }

    fn write_password(&self) -> Result<(), Error> {
        let path = self.password_file();
        let _ = fs::remove_file(&path);
        let mut options = fs::File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&path).doing("create", &path)?;
        writeln!(file, "{}", random::characters(32)?).doing("write", &path)?;
        match &self.account {
            // `initdb` must read it, and whoever runs the server may know it.
            Some(account) => account.own(&path),
            None => Ok(()),
        }
    }

    fn password_file(&self) -> PathBuf {
        self.home.join("password")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").current_dir("/");
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
    }
}

/// The server that may run on the data in `home`.
pub(crate) fn leftover(home: &Path) -> Leftover {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    let data = home.join("data");
    Leftover {
        service: "PostgreSQL",
        pid_file: data.join("postmaster.pid"),
        argument: data,
        stop: Signal::INT,
        abort: Signal::QUIT,
    }
}
