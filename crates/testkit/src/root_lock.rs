//! One owner per data directory, by a lock that the system frees when the owner dies.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::error::{Error, IoContext};

/// The exclusive lock on a data directory, held until dropped or until this process ends.
#[derive(Debug)]
pub(crate) struct RootLock {
    _file: File,
}

impl RootLock {
    /// Takes the lock of `root`, an existing directory, or says who has it.
    pub(crate) fn take(root: &Path) -> Result<Self, Error> {
        match Self::try_take(root)? {
            Ok(lock) => Ok(lock),
            Err(pid) => Err(Error::AlreadyRunning { pid, root: root.to_path_buf() }),
        }
    }

    /// Takes the lock of `root`, or answers the process id of its holder.
    pub(crate) fn try_take(root: &Path) -> Result<Result<Self, String>, Error> {
        let path = root.join("lock");
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
            Err(TryLockError::Error(source)) => return Err(source).doing("lock", &path),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .doing("write", &path)?;
        Ok(Ok(Self { _file: file }))
    }
}

/// Waits until this process alone holds the file at `path`, and holds it until dropped.
pub(crate) fn exclusive(path: &Path) -> Result<File, Error> {
    let file = open(path)?;
    file.lock().doing("lock", path)?;
    Ok(file)
}

fn open(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .doing("open", path)
}

/// The holder writes its number right after taking the lock; a reader in between looks again.
fn holder(file: &mut File) -> String {
    for _ in 0..20 {
        let mut text = String::new();
        if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_ok()
            && !text.trim().is_empty()
        {
            return text.trim().to_owned();
        }
        sleep(Duration::from_millis(10));
    }
    "unknown".to_owned()
}
