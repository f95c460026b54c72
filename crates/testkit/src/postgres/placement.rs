//! Where the data of a PostgreSQL really lies.
//!
//! Where the caller wants it, unless the account that must run the server cannot get there,
//! as when we are root and the checkout is under `/root`: then under `/var/lib/annals`, by a
//! name made from the wanted path, and a symbolic link stands in the wanted place.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::account::Account;
use crate::error::{Error, IoContext};

const ELSEWHERE: &str = "/var/lib/annals";

/// Makes the directory for `wanted`, or finds it, and answers its real path.
pub(crate) fn place(
    wanted: &Path,
    account: Option<&Account>,
    report: &dyn Fn(&str),
) -> Result<PathBuf, Error> {
    let Some(account) = account else { return make(wanted, None) };
    if let Ok(real) = wanted.canonicalize() {
        if account.can_enter(&real) {
            return Ok(real);
        }
        // An empty directory in the way is no loss; data is.
        if fs::remove_dir(wanted).is_err() {
            let account = account.name.clone();
            return Err(Error::Unreachable { directory: real, account });
        }
    }
    // A link to nowhere, left when somebody cleaned up its target.
    let _ = fs::remove_file(wanted);
    let real = make(wanted, Some(account))?;
    if account.can_enter(&real) {
        return Ok(real);
    }
    fs::remove_dir(&real).doing("remove directory", &real)?;
    let elsewhere = elsewhere(&real);
    // Without the link the old data was given up: the checkout's `.annals` was removed.
    super::cluster::leftover(&elsewhere).end()?;
    let _ = fs::remove_dir_all(&elsewhere);
    make(&elsewhere, Some(account))?;
    symlink(&elsewhere, wanted).doing("make symbolic link", wanted)?;
    report(&format!(
        "user {} cannot enter {}, so the data is in {}",
        account.name,
        real.display(),
        elsewhere.display(),
    ));
    Ok(elsewhere)
}

/// Removes what [`place`] made for `wanted`, link and target.
pub(crate) fn remove(wanted: &Path) {
    if let Ok(target) = fs::read_link(wanted)
        && target.starts_with(ELSEWHERE)
    {
        let _ = fs::remove_dir_all(target);
        let _ = fs::remove_file(wanted);
    } else {
        let _ = fs::remove_dir_all(wanted);
    }
}

fn elsewhere(wanted: &Path) -> PathBuf {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, wanted.as_os_str().as_encoded_bytes());
    Path::new(ELSEWHERE).join(name.simple().to_string())
}

fn make(path: &Path, account: Option<&Account>) -> Result<PathBuf, Error> {
    fs::create_dir_all(path).doing("create directory", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).doing("close", path)?;
    if let Some(account) = account {
        account.own(path)?;
    }
    path.canonicalize().doing("find", path)
}
