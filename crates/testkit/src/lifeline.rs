//! Child processes that end with their parent, however it ends.
//!
//! Each service runs under a small POSIX shell script, `lifeline.sh`, whose standard input
//! is a pipe. Only the parent holds the writing end, so when the parent ends, by return,
//! panic or kill -9, the system closes it; the script reads the end of input, stops the
//! service cleanly, kills it after a grace, and ends. The same happens on
//! [`Lifeline::stop`] and on drop, so there is one way to stop and every test tries it.
//!
//! The details that make it hold:
//! - The writing end is close-on-exec (std opens it so), and every lifeline of this process
//!   is spawned under one mutex, because where the flag is set only after the pipe was made
//!   (macOS) a second spawn in between would inherit it. So no service keeps another one's
//!   pipe open.
//! - The script moves the reading end to descriptor 3, because a shell gives background
//!   jobs `/dev/null` as standard input, and closes it for the service.
//! - A shell starts background jobs with SIGINT and SIGQUIT ignored. PostgreSQL installs its
//!   own handlers for both; nats-server is stopped by SIGTERM.
//! - The script leads a process group of its own, so Ctrl-C in a terminal reaches the
//!   parent alone, which can drain before its services go.
//!
//! Why not `PR_SET_PDEATHSIG`: it is Linux only, fires when the *thread* that spawned the
//! child ends, is cleared when the child changes its user (as PostgreSQL under root must),
//! and needs `pre_exec`, which is unsafe. Why no library: docs/adr/0004-child-process-services.md.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::account::Account;
use crate::error::{Error, IoContext};
use crate::process;

const SCRIPT: &str = include_str!("lifeline.sh");

/// How long a service has to stop before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// What to run, and how it is stopped.
pub(crate) struct Service<'a> {
    pub(crate) name: &'static str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    /// As `kill -s` takes it.
    pub(crate) stop_signal: &'static str,
    pub(crate) account: Option<&'a Account>,
    /// Output is appended here.
    pub(crate) log: &'a Path,
}

/// A running service that stops when this value, or this process, ends.
#[derive(Debug)]
pub(crate) struct Lifeline {
    name: &'static str,
    pid: u32,
    log: PathBuf,
    log_start_bytes: u64,
    shell: Child,
    /// `Some` until the service is told to stop by closing it.
    pipe: Option<ChildStdin>,
}

impl Lifeline {
    /// Starts `service` and returns as soon as it has a process id, before it is ready.
    pub(crate) fn spawn(service: Service<'_>) -> Result<Self, Error> {
        static SPAWNING: Mutex<()> = Mutex::new(());

        let log = open_log(service.log)?;
        let log_start_bytes = log.metadata().doing("inspect", service.log)?.len();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "lifeline", service.stop_signal])
            .arg(GRACE.as_secs().to_string())
            .arg(service.program)
            .args(service.arguments)
            // Messages are read, by people and by `Error::is_port_taken`.
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        if let Some(account) = service.account {
            account.apply(&mut command);
        }
        let mut shell = {
            let _guard = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
            command.spawn().doing("run", service.program)?
        };
        let pipe = shell.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).doing("read from", Path::new("/bin/sh"))?;
        }
        let Ok(pid) = line.trim().parse() else {
            return Err(Error::Command { command: "/bin/sh".to_owned(), output: line });
        };
        let log = service.log.to_path_buf();
        Ok(Self { name: service.name, pid, log, log_start_bytes, shell, pipe })
    }

    /// The process id of the service itself.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Polls `ready` until it holds; fails when the service ends first or `limit` passes.
    pub(crate) fn await_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        loop {
            if self.has_ended() {
                let tail = self.log_tail();
                return Err(Error::Died { service: self.name, log: self.log.clone(), tail });
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let (tail, log) = (self.log_tail(), self.log.clone());
                return Err(Error::NotReady { service: self.name, limit, log, tail });
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Tells the service to stop and waits for it, at most a little longer than the grace
    /// after which it is killed.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let start = Instant::now();
        self.pipe = None;
        while !self.has_ended() {
            if start.elapsed() > GRACE + Duration::from_secs(5) {
                // The script itself is gone or frozen.
                process::signal(self.pid, Signal::KILL);
                let _ = self.shell.kill();
                let _ = self.shell.wait();
                break;
            }
            sleep(Duration::from_millis(5));
        }
        if start.elapsed() < GRACE {
            return Ok(());
        }
        Err(Error::Killed { service: self.name, limit: GRACE, log: self.log.clone() })
    }

    /// Kills the service and every process it has with SIGKILL, and waits for their end.
    ///
    /// It is frozen first, so that it cannot start another process meanwhile.
    pub(crate) fn kill(mut self) {
        if self.has_ended() {
            return;
        }
        process::signal(self.pid, Signal::STOP);
        let children = process::children(self.pid);
        for pid in std::iter::once(&self.pid).chain(&children) {
            process::signal(*pid, Signal::KILL);
        }
        let _ = self.shell.wait();
        for pid in children {
            process::await_end(pid, Duration::from_secs(5));
        }
    }

    /// Freezes the service and its processes with SIGSTOP.
    pub(crate) fn freeze(&self) {
        process::signal(self.pid, Signal::STOP);
        let children = process::children(self.pid);
        self.tell_frozen(&children);
        for pid in children {
            process::signal(pid, Signal::STOP);
        }
    }

    /// Undoes [`Lifeline::freeze`].
    pub(crate) fn thaw(&self) {
        for pid in process::children(self.pid) {
            process::signal(pid, Signal::CONT);
        }
        process::signal(self.pid, Signal::CONT);
        self.tell_frozen(&[]);
    }

    /// Lets the script know what it must thaw, should this process end before [`Lifeline::thaw`].
    fn tell_frozen(&self, pids: &[u32]) {
        if let Some(mut pipe) = self.pipe.as_ref() {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            let _ = writeln!(pipe, "{}", pids.join(" "));
        }
    }

    /// Whether the service has ended: the script ends with it.
    fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }

    fn log_tail(&self) -> String {
        log_tail(&self.log, self.log_start_bytes)
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.pipe = None;
        if self.has_ended() {
            return;
        }
        // It stops in the background; somebody has to collect its status.
        let pid = self.shell.id();
        let _ = thread::Builder::new().name(format!("reap-{}", self.name)).spawn(move || {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
        });
    }
}

/// Opens a log for appending, with its directory.
pub(crate) fn open_log(path: &Path) -> Result<File, Error> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).doing("create directory", directory)?;
    }
    File::options().append(true).create(true).open(path).doing("open", path)
}

/// The last lines of the log at `path`, without what stood there before `start_bytes`.
pub(crate) fn log_tail(path: &Path, start_bytes: u64) -> String {
    const TAIL_BYTES: u64 = 2_000;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let end_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(start_bytes.max(end_bytes.saturating_sub(TAIL_BYTES))))?;
        file.read_to_end(&mut bytes)
    });
    match (read, String::from_utf8_lossy(&bytes).trim()) {
        (Err(_), _) | (_, "") => "(nothing)".to_owned(),
        (Ok(_), tail) => tail.to_owned(),
    }
}
