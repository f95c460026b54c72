//! A foreign judge of the API: Schemathesis, which knows only what `/openapi.json` says.

use std::fs;
use std::path::Path;

use testkit::Python;

use crate::support::{Process, Site, free_address, fresh_directory};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_what_its_description_says() {
    let site = Site::new().await;
    let mut command = site.command(&["serve", "--role", "api", "--role", "projector"]);
    command.env("ANNALS_HTTP__REQUESTS_PER_SECOND", "0");
    let mut process = Process::spawn("described", command, free_address());
    process.ready().await;
    let scratch = fresh_directory("schemathesis");
    fs::create_dir_all(&scratch).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    fs::copy(tests.join("schemathesis_hooks.py"), scratch.join("schemathesis_hooks.py")).unwrap();
    let python = Python::with("schemathesis", "4.32.5").unwrap();
    let output = tokio::task::block_in_place(|| {
        python
            .command()
            .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"])
            .arg("--config-file")
            .arg(tests.join("schemathesis.toml"))
            .args(["run", &process.url("/openapi.json")])
            .args(["--seed", "1", "--max-examples", "10", "--no-color"])
            .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
            .current_dir(&scratch)
            .output()
            .unwrap()
    });
    let found = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{found}\n{wrong}");
    assert!(found.contains("Tested: "), "{found}");
}
