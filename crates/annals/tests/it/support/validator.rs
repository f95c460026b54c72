//! A foreign judge of messages: the package jsonschema, which knows only the committed contract.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::Python;

/// Where the contract is committed.
pub(crate) fn contract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract").canonicalize().unwrap()
}

/// What is asked, in one go: a line each.
#[derive(Default)]
pub(crate) struct Questions(Vec<String>);

impl Questions {
    /// Asks whether `instance` is valid against `schema`: an `$id`, maybe with a JSON pointer.
    pub(crate) fn ask(&mut self, schema: &str, instance: &Value) {
        self.0.push(json!({ "schema": schema, "instance": instance }).to_string());
    }

    /// Asks whether `data` is a message of the type.
    pub(crate) fn ask_data(&mut self, message_type: &str, data: &Value) {
        self.ask(&format!("urn:annals:schema:{message_type}"), data);
    }

    /// What is wrong with each, in the order in which they were asked.
    pub(crate) fn answers(self) -> Vec<Vec<String>> {
        let python = Python::with("jsonschema[format-nongpl]", "4.26.0").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/validate.py");
        let mut command = python.command();
        command.arg(script).arg(contract()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let questions = self.0.join("\n");
        // Beside reading the answers: a pipe that nobody empties would stop both.
        let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "the validator says what is wrong above");
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<_> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), self.0.len());
        answers
    }
}
