//! The foreign subscriber, in Python.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use testkit::Python;
use uuid::Uuid;

/// A running subscriber; killed when dropped.
pub(crate) struct Subscriber {
    child: Child,
    record: PathBuf,
}

impl Subscriber {
    /// Subscribes to `stream` at the servers `urls`, with files in `folder`.
    pub(crate) fn start(urls: &str, stream: &str, folder: &Path) -> Self {
        let python = Python::with("nats-py", "2.16.0").unwrap();
        let record = folder.join("subscriber.record");
        let log = File::create(folder.join("subscriber.log")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture/subscriber.py");
        let mut command = python.command();
        command.arg(script).args([urls, stream]).arg(&record);
        Self { child: command.stderr(log).spawn().unwrap(), record }
    }

    /// The ids of the messages that it got so far, and whose they are.
    pub(crate) fn record(&self) -> Vec<Uuid> {
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        // The last line may be half written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let id = |line: &str| line.split(' ').nth(1).unwrap().parse().unwrap();
        complete.lines().map(id).collect()
    }

    /// How much it wrote.
    pub(crate) fn record_bytes(&self) -> u64 {
        fs::metadata(&self.record).map_or(0, |record| record.len())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
