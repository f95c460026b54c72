//! Programs in Python, for tests that look at Annals from another language.
//!
//! Packages are fetched with pip into a directory of their own under `.annals/python`, which only
//! the programs started here see: nothing is installed, and there is no virtual environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, IoContext};
use crate::instance;
use crate::lookup::Search;
use crate::package_manager::{self, run};
use crate::root_lock::exclusive;

/// A Python that can import some packages.
#[derive(Debug, Clone)]
pub struct Python {
    program: PathBuf,
    packages: PathBuf,
}

impl Python {
    /// One that can import the package `name` in exactly the version `version`; fetched on first
    /// use, by one process at a time.
    ///
    /// # Errors
    /// There is no python3 with pip and none can be installed, or pip cannot fetch the package.
    pub fn with(name: &str, version: &str) -> Result<Self, Error> {
        let home = instance::python();
        fs::create_dir_all(&home).doing("create directory", &home)?;
        let _turn = exclusive(&home.join(".lock"))?;
        let program = python_with_pip(&|_| {})?;
        let requirement = format!("{name}=={version}");
        let packages = home.join(&requirement);
        if !packages.is_dir() {
            // We hold the lock, so what is there was left by a process that was killed.
            let scratch = home.join(".fetching");
            let _ = fs::remove_dir_all(&scratch);
            let mut pip = Command::new(&program);
            pip.args(["-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--no-input"])
                .args(["install", "--quiet", "--target"])
                .args([scratch.as_os_str(), requirement.as_ref()]);
            run(&mut pip)?;
            fs::rename(&scratch, &packages).doing("make", &packages)?;
        }
        Ok(Self { program, packages })
    }

    /// A command that runs this Python; the script and its arguments are to be added.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("PYTHONPATH", &self.packages).env("PYTHONDONTWRITEBYTECODE", "1").arg("-u");
        command
    }

    /// Itself; it finds the package only in [`Python::packages`].
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Where the package is.
    pub(crate) fn packages(&self) -> &Path {
        &self.packages
    }
}

/// A Python that has pip; installed if there is none and we may.
pub(crate) fn python_with_pip(report: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let find = || {
        // The distribution's own comes second: the package below is for that one.
        let pythons = Search::path()
            .find("python3")
            .chain([PathBuf::from("/usr/bin/python3")])
            .collect::<Vec<_>>();
        pythons
            .into_iter()
            .find(|python| run(Command::new(python).args(["-m", "pip", "--version"])).is_ok())
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    if package_manager::is_usable()
        && let Some(python) = package_manager::install("python3-pip", report, find)?
    {
        return Ok(python);
    }
    Err(Error::Command {
        command: "python3 -m pip --version".to_owned(),
        output: "there is no python3 with pip".to_owned(),
    })
}
