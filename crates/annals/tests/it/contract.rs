//! The public contract: what is committed is what the types say, keeps what was promised, and is
//! valid in the eyes of others.

mod published;
mod values;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::Node;

use crate::command_line::refusal;
use crate::support::{Questions, annals, contract, fresh_directory};

fn run(arguments: &[&str], directory: &Path) -> Output {
    annals(&[&["contract"], arguments].concat()).arg(directory).output().unwrap()
}

/// The contract of this binary, written to a directory of this test's own.
fn written(name: &str) -> std::path::PathBuf {
    let directory = fresh_directory(name);
    let output = run(&["write"], &directory);
    assert!(output.status.success(), "{output:?}");
    directory
}

fn read(file: &Path) -> Value {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// The golden file of each message.
fn golden() -> impl Iterator<Item = (String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/golden/messages");
    domain::Message::types()
        .map(move |message| (message.to_string(), read(&folder.join(format!("{message}.json")))))
}

#[test]
fn the_committed_contract_is_what_the_types_say() {
    let output = Command::new("diff")
        .args(["-r", "-u", "--exclude=README.md", "--exclude=released"])
        .arg(contract())
        .arg(written("contract-committed"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "docs/contract differs from what the types say; if that is meant, run `make contract` and \
         commit what it writes:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What readers were promised: by every release, and by what is committed since.
#[test]
fn no_reader_of_a_committed_contract_is_broken() {
    let released = contract().join("released").read_dir().unwrap();
    let released: Vec<_> =
        released.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    assert!(!released.is_empty(), "docs/contract/released holds what was promised");
    for directory in released.iter().chain([&contract()]) {
        let output = run(&["check"], directory);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for directory in released {
        let version = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let document = read(&directory.join("asyncapi.json"));
        assert_eq!(
            document["info"]["version"],
            version,
            "{}: a released contract is never written again",
            directory.display()
        );
    }
}

#[test]
fn what_breaks_readers_is_told_and_not_written() {
    let directory = written("contract-breaking");
    let file = directory.join("schemas/ordering.order-placed.v1.json");
    let mut earlier = read(&file);
    earlier["properties"]["customer"] = serde_json::json!({ "type": "string" });
    let earlier = format!("{earlier:#}");
    fs::write(&file, &earlier).unwrap();
    let gone = directory.join("schemas/ordering.order-lost.v1.json");
    fs::write(&gone, "{}").unwrap();

    for command in ["check", "write"] {
        let output = run(&[command], &directory);
        assert!(refusal(&output).contains("would break"));
        let told = String::from_utf8(output.stderr).unwrap();
        for sentence in [
            "ordering.order-placed.v1: member `customer` was removed; \
             publish it as ordering.order-placed.v2 instead\n",
            "ordering.order-lost.v1: it was removed; \
             publish it as ordering.order-lost.v2 instead\n",
        ] {
            assert!(told.contains(sentence), "{told}");
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), earlier, "nothing was written");

    assert!(run(&["write", "--breaking"], &directory).status.success());
    assert!(run(&["check"], &directory).status.success());
    assert!(!gone.exists());
}

#[test]
fn a_document_is_shown_as_it_is_written() {
    let directory = written("contract-shown");
    for (arguments, file) in [
        (vec!["contract", "show"], "asyncapi.json"),
        (
            vec!["contract", "show", "ordering.order-placed.v1"],
            "schemas/ordering.order-placed.v1.json",
        ),
    ] {
        let shown = annals(&arguments).output().unwrap();
        assert_eq!(shown.stdout, fs::read(directory.join(file)).unwrap());
    }
    let unknown = annals(&["contract", "show", "ordering.order-lost.v1"]).output().unwrap();
    assert!(refusal(&unknown).contains("use one of catalog.product-listed.v1, "));
}

#[test]
fn every_golden_message_is_valid_and_a_part_of_it_is_not() {
    let mut questions = Questions::default();
    let mut expected = Vec::new();
    for (message, whole) in golden() {
        questions.ask_data(&message, &whole);
        expected.push((message.clone(), Vec::new()));
        let mut more = whole.clone();
        more["later"] = Value::Bool(true);
        questions.ask_data(&message, &more);
        expected.push((message.clone(), Vec::new()));
        for member in whole.as_object().unwrap().keys() {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(member);
            questions.ask_data(&message, &part);
            expected.push((
                format!("{message} without {member}"),
                vec![format!("$: '{member}' is a required property")],
            ));
        }
    }
    for ((what, expected), answer) in expected.into_iter().zip(questions.answers()) {
        assert_eq!(answer, expected, "{what}");
    }
}

/// In the eyes of the AsyncAPI project's own program, with everything the document refers to.
#[test]
fn the_async_api_document_is_valid() {
    let node = Node::with("@asyncapi/cli", "6.2.0").unwrap();
    let home = fresh_directory("contract-asyncapi");
    fs::create_dir_all(&home).unwrap();
    let validate = |document: &Path| {
        node.command("bin/run_bin")
            .args(["validate", "--fail-severity=warn"])
            .arg(document)
            // It tells nobody that it was run, and leaves nothing in the person's home.
            .env("CI", "true")
            .env("HOME", &home)
            .env("SUPPRESS_NO_CONFIG_WARNING", "true")
            .output()
            .unwrap()
    };
    let output = validate(&contract().join("asyncapi.json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let broken = written("contract-broken");
    let file = broken.join("schemas/ordering.order-placed.v1.json");
    let text =
        fs::read_to_string(&file).unwrap().replace(r#""type": "object""#, r#""type": "thing""#);
    fs::write(&file, text).unwrap();
    let output = validate(&broken.join("asyncapi.json"));
    assert_eq!(output.status.code(), Some(1), "it looks into the schemas too: {output:?}");
}
