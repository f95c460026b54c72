//! Finding the programs of PostgreSQL >= 15, or installing them.

use std::path::{Path, PathBuf};

use crate::error::{Error, chain};
use crate::lookup::{Search, version_line};
use crate::package_manager;

/// What Annals promises to run on, and what Debian 12 has.
const LOWEST_MAJOR: u32 = 15;

/// One installed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) major: u32,
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
}

/// The PATH and the places where distributions keep versions side by side.
pub(crate) fn usual_places() -> Search {
    Search::path()
        .and_each("/usr/lib/postgresql", "", "bin")
        .and_each("/usr", "pgsql-", "bin")
        .and_each("/opt/homebrew/opt", "postgresql@", "bin")
        .and_each("/usr/local/opt", "postgresql@", "bin")
}

/// The newest version, or with `data` the one that made that directory's data.
pub(crate) fn locate(
    search: impl Fn() -> Search,
    data: Option<(u32, &Path)>,
    report: &dyn Fn(&str),
) -> Result<Binaries, Error> {
    let choose = || choose(installed(&search()), data.map(|(major, _)| major));
    if let Some(binaries) = choose() {
        return Ok(binaries);
    }
    let installed = installed(&search());
    if let Some((major, directory)) = data
        && installed.iter().any(|binaries| binaries.major >= LOWEST_MAJOR)
    {
        return Err(Error::DataVersion { directory: directory.to_path_buf(), major });
    }
    let mut found = describe_too_old(&installed);
    if package_manager::is_usable() {
        match package_manager::install("postgresql", report, choose) {
            Ok(Some(binaries)) => return Ok(binaries),
            Ok(None) => {
                found.push_str("; the package postgresql of this system is too old as well");
            }
            Err(error) => found = format!("{found}; installing it failed ({})", chain(&error)),
        }
    }
    Err(Error::PostgresMissing { found, install: package_manager::postgres_command() })
}

fn choose(installed: Vec<Binaries>, wanted: Option<u32>) -> Option<Binaries> {
    // The last of equal ones would win, and the PATH comes first.
    installed
        .into_iter()
        .rev()
        .filter(|binaries| binaries.major >= LOWEST_MAJOR)
        .filter(|binaries| wanted.is_none_or(|major| binaries.major == major))
        .max_by_key(|binaries| binaries.major)
}

fn installed(search: &Search) -> Vec<Binaries> {
    search
        .find("postgres")
        .filter_map(|postgres| {
            let initdb = postgres.with_file_name("initdb");
            let major = major(&version_line(&postgres)?)?;
            initdb.is_file().then_some(Binaries { major, initdb, postgres })
        })
        .collect()
}

fn describe_too_old(installed: &[Binaries]) -> String {
    match installed.iter().max_by_key(|binaries| binaries.major) {
        Some(Binaries { major, postgres, .. }) => {
            format!("(found only version {major}, {}, which is too old)", postgres.display())
        }
        None => "found".to_owned(),
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `postgres (PostgreSQL) 19devel`.
fn major(version_line: &str) -> Option<u32> {
    let version = version_line.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Scratch;

    fn fake(scratch: &Scratch, directory: &str, version: &str) -> PathBuf {
        for program in ["postgres", "initdb"] {
            let line = format!("{program} (PostgreSQL) {version}");
            scratch.program(&format!("{directory}/{program}"), &line);
        }
        scratch.0.join(directory)
    }

    #[test]
    fn reads_the_major_version_of_releases_and_snapshots() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn newest_wins_and_the_path_wins_among_equals() {
        let scratch = Scratch::new();
        let versions = [("a", "15.1"), ("b", "17.2"), ("c", "17.9"), ("d", "14.0")];
        let search = Search::of(versions.map(|(name, version)| fake(&scratch, name, version)));
        let newest = choose(installed(&search), None).unwrap();
        assert_eq!((newest.major, newest.postgres), (17, scratch.0.join("b/postgres")));
        assert_eq!(choose(installed(&search), Some(15)).unwrap().major, 15);
        assert_eq!(choose(installed(&search), Some(14)), None, "too old even for its own data");
    }

    #[test]
    fn a_version_that_is_too_old_is_named() {
        let scratch = Scratch::new();
        let old = fake(&scratch, "old", "13.4 (Debian 13.4-1)");
        let installed = installed(&Search::of([old]));
        assert_eq!(choose(installed.clone(), None), None);
        let error =
            Error::PostgresMissing { found: describe_too_old(&installed), install: "install it" };
        let text = error.to_string();
        assert!(text.contains("found only version 13, "), "{text}");
        assert!(text.contains("DATABASE_URL") && text.contains("PATH"), "{text}");
    }

    #[test]
    fn data_of_a_missing_version_is_not_opened_with_another() {
        let scratch = Scratch::new();
        let root = fake(&scratch, "new", "17.0");
        let data = Path::new("/some/data");
        let error = locate(|| Search::of([root.clone()]), Some((16, data)), &|_| {}).unwrap_err();
        assert!(matches!(error, Error::DataVersion { major: 16, .. }), "{error}");
    }
}
