//! Where programs are looked for, as a value, so that a test can hand in another place.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directories of a search, in order of preference.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    directories: Vec<PathBuf>,
}

impl Search {
    /// The directories of the PATH.
    pub(crate) fn path() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the PATH is where the system keeps programs"
        )]
        let path = env::var_os("PATH").unwrap_or_default();
        Self::of(env::split_paths(&path).filter(|directory| directory.is_absolute()))
    }

    /// Exactly these directories.
    pub(crate) fn of(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { directories: directories.into_iter().collect() }
    }

    /// Adds `<parent>/<name>/<suffix>` for each entry of `parent` whose name starts with
    /// `prefix`.
    pub(crate) fn and_each(mut self, parent: &str, prefix: &str, suffix: &str) -> Self {
        if let Ok(entries) = Path::new(parent).read_dir() {
            let mut found: Vec<_> = entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path().join(suffix))
                .collect();
            found.sort();
            self.directories.extend(found);
        }
        self
    }

    /// The paths of `program` in these directories.
    pub(crate) fn find(&self, program: &str) -> impl Iterator<Item = PathBuf> {
        self.directories
            .iter()
            .map(move |directory| directory.join(program))
            .filter(|p| p.is_file())
    }
}

/// What `program --version` prints, if it runs.
pub(crate) fn version_line(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// A directory under the system's temporary one that is removed on drop.
#[cfg(test)]
pub(crate) struct Scratch(pub(crate) PathBuf);

#[cfg(test)]
impl Scratch {
    pub(crate) fn new() -> Self {
        let unique = crate::random::characters(12).unwrap();
        Self(env::temp_dir().join(format!("annals-testkit-{unique}")))
    }

    /// Makes `path` in it a program that prints `line`, and answers its directory.
    ///
    /// A child process writes it: if this one did, a process that another test forks at
    /// that moment would hold the file open for writing, and running it would fail.
    pub(crate) fn program(&self, path: &str, line: &str) -> PathBuf {
        let script =
            r#"mkdir -p "${1%/*}" && printf '#!/bin/sh\necho "%s"\n' "$2" >"$1" && chmod 755 "$1""#;
        let path = self.0.join(path);
        let status =
            Command::new("/bin/sh").args(["-c", script, "sh"]).arg(&path).arg(line).status();
        assert!(status.unwrap().success());
        path.parent().unwrap().to_path_buf()
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
