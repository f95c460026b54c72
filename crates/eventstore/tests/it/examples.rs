//! The examples run as they are.

use std::path::PathBuf;
use std::process::Command;

/// Cargo builds the examples beside the tests.
fn run(name: &str) {
    let tests: PathBuf = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join(name);
    let output = Command::new(&program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.display());
}

#[test]
fn an_account_is_never_overdrawn() {
    run("account");
}

#[test]
fn a_course_has_three_places() {
    run("course");
}

#[test]
fn a_read_model_goes_on_where_it_was() {
    run("follow");
}
