//! The unprivileged account that runs PostgreSQL when we are root, as PostgreSQL demands.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, IoContext};

/// Another account than ours.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Who shall own `data`: `None` is ourselves, unless we are root; then the owner it has
    /// already, else `postgres`, else `nobody`.
    pub(crate) fn for_data(data: &Path) -> Result<Option<Self>, Error> {
        if !is_root() {
            return Ok(None);
        }
        if let Ok(owner) = data.metadata()
            && owner.uid() != 0
        {
            let name = format!("{}", owner.uid());
            return Ok(Some(Self { name, uid: owner.uid(), gid: owner.gid() }));
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::named(name))
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    fn named(name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), uid: id("-u", name)?, gid: id("-g", name)? })
    }

    /// Makes `command` run as this account, without our supplementary groups.
    pub(crate) fn apply(&self, command: &mut Command) {
        // Our working directory may be closed to it.
        command.uid(self.uid).gid(self.gid).current_dir("/");
    }

    /// Gives `path` itself, not its content, to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).doing("change the owner of", path)
    }

    /// Whether this account can get into `directory`: asked of the system itself, which
    /// knows every mode bit and access list on the way.
    pub(crate) fn can_enter(&self, directory: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"cd -- "$1""#, "sh"]).arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

/// Whether we may become somebody else, and install packages.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Asks `id`, which knows every source of accounts, not only `/etc/passwd`.
fn id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
