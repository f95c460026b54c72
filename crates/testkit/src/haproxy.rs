//! A private HAProxy in front of processes of a test.
//!
//! Found, or installed with the system's package manager where we may; any version will do.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, IoContext, chain};
use crate::instance::Instance;
use crate::lifeline::{Lifeline, Service};
use crate::lookup::Search;
use crate::package_manager;
use crate::port::{self, Wanted};

const READY_LIMIT: Duration = Duration::from_secs(30);

/// A HAProxy of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct HaProxy {
    port: u16,
    log: PathBuf,
    _lifeline: Lifeline,
    _instance: Instance,
}

impl HaProxy {
    /// Starts one with the configuration that `config` makes for the port on 127.0.0.1 that it is
    /// to listen on.
    ///
    /// # Errors
    /// There is none and it cannot be installed, or it does not start.
    pub fn start_ephemeral_with(config: impl Fn(u16) -> String) -> Result<Self, Error> {
        let program = locate(&usual_places, &|line| tracing::info!("{line}"))?;
        let instance = Instance::create()?;
        let home = instance.haproxy();
        fs::create_dir_all(&home).doing("create directory", &home)?;
        let path = home.join("haproxy.cfg");
        let log = instance.log("haproxy");
        let (port, lifeline) = port::claim(Wanted::Preferably(None), |port| {
            fs::write(&path, config(port)).doing("write", &path)?;
            launch(&program, &path, &log, port)
        })?;
        Ok(Self { port, log, _lifeline: lifeline, _instance: instance })
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file to which it writes its log, if it is configured to log to standard output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

fn launch(program: &Path, config: &Path, log: &Path, port: u16) -> Result<Lifeline, Error> {
    let mut lifeline = Lifeline::spawn(Service {
        name: "HAProxy",
        program,
        // In the foreground, whatever the configuration says.
        arguments: vec!["-db".into(), "-f".into(), config.into()],
        stop_signal: "TERM",
        account: None,
        log,
    })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    lifeline.await_ready(READY_LIMIT, || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    })?;
    Ok(lifeline)
}

/// The PATH, and where it is when the PATH is that of somebody who is not root.
fn usual_places() -> Search {
    Search::path().and_each("/usr", "sbin", "").and_each("/usr/local", "sbin", "").and_each(
        "/opt/homebrew/opt",
        "haproxy",
        "bin",
    )
}

fn locate(search: &dyn Fn() -> Search, report: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let find = || search().find("haproxy").next();
    if let Some(program) = find() {
        return Ok(program);
    }
    let mut found = "found".to_owned();
    if package_manager::is_usable() {
        match package_manager::install("haproxy", report, find) {
            Ok(Some(program)) => return Ok(program),
            Ok(None) => found.push_str("; the package haproxy does not hold it"),
            Err(error) => found = format!("{found}; installing it failed ({})", chain(&error)),
        }
    }
    Err(Error::HaProxyMissing { found, install: package_manager::haproxy_command() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Scratch;

    #[test]
    fn the_one_that_is_there_is_taken() {
        let scratch = Scratch::new();
        let place = scratch.program("sbin/haproxy", "HAProxy version 2.6.12");
        let search = || Search::of([place.clone()]);
        assert_eq!(locate(&search, &|_| {}).unwrap(), place.join("haproxy"));
    }
}
