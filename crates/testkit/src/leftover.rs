//! Servers of an earlier run that still use a data directory.
//!
//! Whoever holds the lock of the directory is its only owner, so a server that is still
//! there has lost its parent. Usually its lifeline is stopping it at this moment and it
//! needs only time; if the lifeline was killed too, it needs a signal.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::Error;
use crate::process;

const POLITELY: Duration = Duration::from_secs(25);
const FIRMLY: Duration = Duration::from_secs(10);

/// A server that may have been left behind.
pub(crate) struct Leftover {
    /// For messages.
    pub(crate) service: &'static str,
    /// The file in which the server wrote its process id, on the first line.
    pub(crate) pid_file: PathBuf,
    /// An argument by which the process is known to be that server and no other program.
    pub(crate) argument: PathBuf,
    /// Stops it cleanly.
    pub(crate) stop: Signal,
    /// Stops it at once, without losing what it promised to keep.
    pub(crate) abort: Signal,
}

impl Leftover {
    /// Its process, if it runs.
    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        process::is_alive_with_argument(pid, &self.argument).then_some(pid)
    }

    /// Ends it the quickest way, without waiting; tells whether it runs.
    pub(crate) fn abort(&self) -> bool {
        let pid = self.pid();
        if let Some(pid) = pid {
            process::signal(pid, self.abort);
        }
        pid.is_some()
    }

    /// Waits for its end, helps with signals, and removes the stale pid file.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if let Some(pid) = self.pid() {
            process::signal(pid, Signal::CONT);
            process::signal(pid, self.stop);
            if !process::await_end(pid, POLITELY) {
                process::signal(pid, self.abort);
                if !process::await_end(pid, FIRMLY) {
                    return Err(Error::Leftover { service: self.service, pid });
                }
            }
        }
        // What is left names a dead process, or by now a stranger: servers refuse to start
        // over such a file when the number is alive again.
        let _ = fs::remove_file(&self.pid_file);
        Ok(())
    }
}
