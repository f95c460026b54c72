//! Looking at processes that are not our children, and signalling them.
//!
//! From `/proc` where there is one, else from `ps` and `pgrep`: a slim Linux image has
//! only the first, macOS only the second.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Sends `signal` to `pid`; a process that is gone is no error, because it may end any time.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether `pid` runs: a zombie that nobody reaps, as under a container's careless
/// process 1, does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Some(known) = to_pid(pid) else { return false };
    let exists = matches!(test_kill_process(known), Ok(()) | Err(Errno::PERM));
    exists && stat(pid).is_none_or(|stat| stat.state != 'Z')
}

/// Waits until `pid` is gone and tells whether that happened within `limit`.
pub(crate) fn await_end(pid: u32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while is_alive(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

/// The children of `pid`, as far as the system tells.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    if has_proc() {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        return entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|candidate| stat(*candidate).is_some_and(|stat| stat.parent == pid))
            .collect();
    }
    output("pgrep", &["-P", &pid.to_string()])
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Whether `pid` runs and has `path` among its arguments: process ids are used again, so
/// the number in an old pid file may by now belong to any program.
pub(crate) fn is_alive_with_argument(pid: u32, path: &Path) -> bool {
    if !is_alive(pid) {
        return false;
    }
    let path = path.as_os_str().as_encoded_bytes();
    if has_proc() {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == path))
    } else {
        let line = output("ps", &["-ww", "-o", "command=", "-p", &pid.to_string()]);
        line.as_bytes().windows(path.len()).any(|window| window == path)
    }
}

struct Stat {
    state: char,
    parent: u32,
}

/// The third and fourth field of `/proc/<pid>/stat`; the second is a name in parentheses
/// that may itself contain spaces and parentheses.
fn stat(pid: u32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
