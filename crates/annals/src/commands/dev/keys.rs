//! The key-encryption key of a development directory.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use eventstore::KeyEncryptionKeys;
use secrecy::SecretString;

/// The key kept in `directory`, made at the first start: who loses it loses the personal data.
///
/// # Errors
/// It can be neither read nor made.
pub(super) fn private(directory: &Path) -> anyhow::Result<SecretString> {
    let file = directory.join("keys");
    let reading = || format!("read {}", file.display());
    match fs::read_to_string(&file) {
        Ok(keys) => return Ok(keys.trim().into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(reading),
    }
    let keys = KeyEncryptionKeys::generate("dev")?;
    // Complete under its name, or not there at all.
    let draft = directory.join("keys.draft");
    let write = || {
        fs::create_dir_all(directory)?;
        let mut options = OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(out, "{keys}")?;
        out.sync_all()?;
        fs::rename(&draft, &file)
    };
    write().with_context(|| format!("write {}", file.display()))?;
    Ok(keys.into())
}
