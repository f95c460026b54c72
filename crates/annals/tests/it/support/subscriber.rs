//! The foreign subscriber, in Python.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use serde::Deserialize;
use serde_json::Value;
use testkit::{Python, TestBroker};

/// A message, as the subscriber wrote it down.
#[derive(Debug, Deserialize)]
pub(crate) struct Received {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) data: Value,
}

/// A running subscriber; killed when dropped.
pub(crate) struct Subscriber {
    child: Child,
    record: PathBuf,
}

impl Subscriber {
    pub(crate) fn start(broker: &TestBroker) -> Self {
        let python = Python::with("nats-py", "2.16.0").unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let record = folder.join(format!("{}.jsonl", broker.namespace));
        let log = File::create(record.with_extension("subscriber.log")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/subscriber.py");
        let mut command = python.command();
        command.arg(script).args([&broker.url, &broker.namespace.to_uppercase()]).arg(&record);
        Self { child: command.stderr(log).spawn().unwrap(), record }
    }

    /// What it has received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        // The last line may be half written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
