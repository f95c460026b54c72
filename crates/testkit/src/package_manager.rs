//! Installing a package with the system's package manager, where we may.
//!
//! That is where we are root and there is `apt-get`: a container or a throw-away machine.
//! Anywhere else the person is told the command. Test processes that start at the same time
//! take turns by a lock file, and the later ones find the package installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::is_root;
use crate::error::{Error, IoContext};
use crate::lookup::Search;
use crate::root_lock::exclusive;

/// Where Debian's PostgreSQL packages look for how to make a cluster at installation.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.d";

/// Whether [`install`] can do anything here.
pub(crate) fn is_usable() -> bool {
    is_root() && Search::path().find("apt-get").next().is_some()
}

/// Installs `package` unless `is_there` finds, once it is our turn, that it is not needed.
pub(crate) fn install<T>(
    package: &str,
    report: &dyn Fn(&str),
    is_there: impl Fn() -> Option<T>,
) -> Result<Option<T>, Error> {
    let _turn = exclusive(Path::new("/run/annals-apt.lock"))?;
    if let Some(found) = is_there() {
        return Ok(Some(found));
    }
    report(&format!("installing {package} with apt-get"));
    // A failing update still leaves the lists of earlier ones, which may do.
    let updated = apt_get(&["update"]);
    let no_cluster = NoCluster::ask();
    let installed = apt_get(&["install", "-y", "--no-install-recommends", package]);
    drop(no_cluster);
    if let Some(found) = is_there() {
        return Ok(Some(found));
    }
    installed.and(updated).map(|()| None)
}

/// The command by which a person installs PostgreSQL on this system.
pub(crate) fn postgres_command() -> &'static str {
    command([
        "sudo apt-get install postgresql",
        "sudo dnf install postgresql-server",
        "apk add postgresql",
        "sudo pacman -S postgresql",
        "brew install postgresql@17",
    ])
}

/// The command by which a person installs HAProxy on this system.
pub(crate) fn haproxy_command() -> &'static str {
    command([
        "sudo apt-get install haproxy",
        "sudo dnf install haproxy",
        "apk add haproxy",
        "sudo pacman -S haproxy",
        "brew install haproxy",
    ])
}

/// The one of these for the package manager that is there: `apt-get`, `dnf`, `apk`, `pacman`, and
/// else `brew`.
fn command([apt_get, dnf, apk, pacman, brew]: [&'static str; 5]) -> &'static str {
    let path = Search::path();
    let managers = [("apt-get", apt_get), ("dnf", dnf), ("apk", apk), ("pacman", pacman)];
    let found = managers.iter().find(|(program, _)| path.find(program).next().is_some());
    found.map_or(brew, |(_, command)| command)
}

fn apt_get(arguments: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command).map(drop)
}

/// Runs a tool to its end; answers what it printed, or fails with the end of it.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output().doing("run", &program)?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if output.status.success() {
        return Ok(text);
    }
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<String> =
        std::iter::once(program.display().to_string()).chain(arguments).collect();
    let start = text.char_indices().rev().nth(1_000).map_or(0, |(index, _)| index);
    Err(Error::Command { command: words.join(" "), output: text[start..].to_owned() })
}

/// While it lives, installing PostgreSQL makes and starts no cluster of the distribution's
/// own: we want its programs only. Where there are settings already, somebody else has
/// decided, and they stay as they are.
struct NoCluster {
    settings: Option<PathBuf>,
}

impl NoCluster {
    fn ask() -> Self {
        let directory = Path::new(CLUSTER_SETTINGS);
        if directory.parent().is_some_and(|parent| parent.join("createcluster.conf").exists()) {
            return Self { settings: None };
        }
        let path = directory.join("annals.conf");
        let written = fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, "create_main_cluster = false\n"));
        Self { settings: written.ok().map(|()| path) }
    }
}

impl Drop for NoCluster {
    fn drop(&mut self) {
        if let Some(path) = self.settings.take() {
            let _ = fs::remove_file(path);
        }
    }
}
