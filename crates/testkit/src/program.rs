//! A program of a test's own that it kills, freezes and starts again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::lifeline::{Lifeline, Service, log_tail};

/// A program that runs as the private servers do: it ends when this value is dropped or this
/// process ends, even if it is frozen then.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    lifeline: Option<Lifeline>,
}

impl Program {
    /// Starts `program`; what it says is appended to the file `log`.
    ///
    /// # Errors
    /// It cannot be run, or the file cannot be written.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        log: &Path,
    ) -> Result<Self, Error> {
        let mut started = Self {
            path: program.to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            log: log.to_owned(),
            lifeline: None,
        };
        started.restart()?;
        Ok(started)
    }

    /// Starts it again, with the same arguments and log; kills it before, if it runs.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill9();
        self.lifeline = Some(Lifeline::spawn(Service {
            name: "program",
            program: &self.path,
            arguments: self.arguments.clone(),
            stop_signal: "TERM",
            account: None,
            log: &self.log,
        })?);
        Ok(())
    }

    /// Ends it with SIGKILL. [`Program::restart`] brings it back.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }

    /// Freezes it with SIGSTOP.
    pub fn pause(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.freeze();
        }
    }

    /// Lets it run on.
    pub fn resume(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.thaw();
        }
    }

    /// The last that it said.
    #[must_use]
    pub fn said(&self) -> String {
        log_tail(&self.log, 0)
    }
}
