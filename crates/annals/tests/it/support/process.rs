//! Processes of the binary under test.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::eventually;

/// The binary, with nothing of this environment that it would take as a setting.
pub(crate) fn annals(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("NATS_URL").stdin(Stdio::null());
    command
}

/// The key-encryption key of all installations of tests.
pub(crate) const KEYS: &str = "test=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The binary, where whoever is on this machine may do everything: for tests that are not about
/// accounts.
pub(crate) fn trusting(arguments: &[&str]) -> Command {
    let mut command = annals(arguments);
    command
        .env("ANNALS_KEYS__ENCRYPTION", KEYS)
        .env("ANNALS_HTTP__ANONYMOUS", "*")
        // Hashes that cost nothing.
        .env("ANNALS_IDENTITY__HASH_MEMORY_KIB", "8")
        .env("ANNALS_IDENTITY__HASH_ITERATIONS", "1");
    command
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A directory for the services of one test, where no other checkout has anything.
pub(crate) fn fresh_directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => panic!("{}: {error}", directory.display()),
    }
    directory
}

/// `annals dev` with its services under `directory`.
pub(crate) fn dev(directory: &Path) -> Command {
    // The tests' own nats-server, so that this need not fetch one more.
    let _shared = testkit::nats_url();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.annals/bin");
    let mut command = annals(&["dev"]);
    command
        .env("ANNALS_DIRECTORY", directory)
        .env("PATH", format!("{}:{}", fetched.display(), env!("PATH")));
    command
}

/// A process that is killed when dropped; what it writes is kept.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts `command`, told to listen on `address`.
    pub(crate) fn spawn(name: &str, mut command: Command, address: SocketAddr) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let log = folder.join(format!("{name}-{}.log", address.port()));
        let output = File::create(&log).unwrap();
        command
            .env("ANNALS_HTTP__ADDRESS", address.to_string())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        Self { child: command.spawn().unwrap(), log, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it says that it is ready; fails at once if it ends.
    pub(crate) async fn ready(&mut self) {
        let url = self.url("/readyz");
        let (child, log) = (&mut self.child, &self.log);
        eventually(Duration::from_mins(1), "the process to be ready", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended with {status}: {}", fs::read_to_string(log).unwrap());
            }
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            if status.is_success() { Ok(()) } else { Err(body) }
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// kill -9, and gone when this returns.
    pub(crate) fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        eventually(limit, "the process to end", async || {
            self.child.try_wait().unwrap().ok_or("it runs")
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
