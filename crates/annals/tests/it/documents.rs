//! What the documents say is so: the tour works as written, links lead somewhere, tests that are
//! named exist, and tables are complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use relay::cloud_event::{HEADERS, Presence};
use rustix::process::Signal;

use crate::support::{Process, dev, free_address, fresh_directory};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every document: the Markdown files of the root, of `docs` and of the crates.
fn documents() -> Vec<PathBuf> {
    let mut folders =
        vec![root(), root().join("docs"), root().join("docs/adr"), root().join("docs/contract")];
    let crates = root().join("crates").read_dir().unwrap();
    folders.extend(crates.map(|entry| entry.unwrap().path()));
    let entries = folders.iter().flat_map(|folder| folder.read_dir().unwrap());
    let files = entries.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "md")).collect()
}

/// The targets of Markdown links that are not elsewhere.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = document.parent().unwrap().join(file);
            assert!(target.exists(), "{} links to {link}", document.display());
            if !anchor.is_empty() {
                let headings = fs::read_to_string(&target).unwrap();
                let mut headings = headings.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(
                    headings.any(|slug| slug == anchor),
                    "{} links to {link}",
                    document.display()
                );
            }
        }
    }
}

/// A heading as an anchor.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn the_tests_of_the_laws_exist() {
    let readme = read("README.md");
    let mut named = 0;
    for row in readme.lines().filter(|line| line.starts_with("| ") && line.contains("/tests")) {
        let tests = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
        for part in tests.split(';') {
            let file = links(part).next().unwrap_or_else(|| panic!("a file in {part:?}"));
            let code = read(file);
            let functions = part.rsplit(") ").next().unwrap().split('`').skip(1).step_by(2);
            for name in functions {
                assert!(code.contains(&format!("fn {name}(")), "{file} has no test {name}");
                named += 1;
            }
        }
    }
    assert!(named > 15, "the table is read as it is written: {named}");
}

#[test]
fn every_problem_is_documented() {
    let text = read("docs/problems.md");
    for code in api::problem::Code::ALL {
        let entry = code.entry();
        let row =
            format!("| `{}` | {} | {} | {} |", entry.code, entry.status, entry.title, entry.remedy);
        assert!(text.contains(&row), "docs/problems.md lacks: {row}");
    }
}

#[test]
fn every_permission_is_documented() {
    let text = read("docs/http.md");
    for permission in api::Permission::ALL {
        assert!(
            text.contains(&format!("\n| `{permission}` | ")),
            "docs/http.md lacks {permission}"
        );
    }
}

#[test]
fn every_setting_is_documented() {
    let text = read("docs/configuration.md");
    let defaults: toml::Table =
        toml::from_str(&read("crates/annals/src/config/defaults.toml")).unwrap();
    let mut keys = vec!["database.url".to_owned(), "nats.url".to_owned()];
    let of_mail = ["host", "port", "username", "password", "from", "hello_name", "base_url"];
    keys.extend(of_mail.iter().chain(&["root_certificate"]).map(|key| format!("mail.{key}")));
    keys.push("identity.breached_passwords".to_owned());
    for (name, value) in &defaults {
        match value.as_table() {
            Some(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => keys.push(name.clone()),
        }
    }
    for key in keys {
        assert!(text.contains(&format!("`{key}`")), "docs/configuration.md lacks {key}");
    }
}

#[test]
fn every_mail_is_documented_with_its_page() {
    let text = read("docs/mail.md");
    let mut named = 0;
    for entry in root().join("crates/application/src/mail_texts").read_dir().unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let Ok(code) = fs::read_to_string(&file) else { continue };
        if !code.contains(&format!("pub fn {name}(")) {
            continue;
        }
        let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/mail.md lacks {name}"));
        let has_token = code.contains("page_with(\"");
        let (call, has_token) = if has_token { ("page_with(\"", "yes") } else { ("page(\"", "no") };
        let page = code.split(call).nth(1).unwrap().split('"').next().unwrap();
        assert!(row.ends_with(&format!("| `/{page}` | {has_token} |")), "{row} is not {page}");
        named += 1;
    }
    assert!(named > 7, "files are read as they are written: {named}");
}

#[test]
fn every_metric_is_documented() {
    let text = read("docs/operations.md");
    let mut named = 0;
    for file in [
        "crates/annals/src/ops.rs",
        "crates/annals/src/ops/jobs.rs",
        "crates/annals/src/ops/projections.rs",
        "crates/annals/src/ops/proof.rs",
        "crates/annals/src/ops/work.rs",
        "crates/annals/src/telemetry/metrics.rs",
        "crates/api/src/feed/metrics.rs",
        "crates/api/src/metrics.rs",
    ] {
        let code = read(file);
        for name in code.split('"').skip(1).step_by(2).filter(|text| text.starts_with("annals_")) {
            assert!(text.contains(&format!("| `{name}` |")), "docs/operations.md lacks {name}");
            named += 1;
        }
    }
    assert!(named > 15, "names are read as they are written: {named}");
}

/// Code that begins with the name of a file is a piece of it; other Rust compiles as a test of the
/// crate.
#[test]
fn what_the_documents_quote_is_in_the_code() {
    let mut quoted = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for block in text.split("\n```").skip(1).step_by(2) {
            let code = block.split_once('\n').map_or("", |(_, code)| code);
            let (first, piece) = code.split_once('\n').unwrap_or((code, ""));
            let file = first.trim_start_matches("// ").trim_start_matches("-- ");
            if file == first || !file.starts_with("crates/") {
                continue;
            }
            assert!(read(file).contains(piece), "{} quotes {file}", document.display());
            quoted += 1;
        }
    }
    assert!(quoted > 4, "quotes are read as they are written: {quoted}");
}

#[test]
fn every_public_message_is_documented() {
    let text = read("docs/messages.md");
    let sections: Vec<_> = text.split("\n### ").skip(1).collect();
    let described = domain::Message::descriptions();
    assert_eq!(sections.len(), described.len(), "docs/messages.md has a section for each message");
    for description in described {
        let message = description.payload_type;
        let section = sections.iter().find(|text| text.starts_with(&format!("`{message}`\n")));
        let section = section.unwrap_or_else(|| panic!("docs/messages.md lacks {message}"));
        assert!(
            section.contains(description.example.trim()),
            "docs/messages.md has another example of {message}"
        );
        let members = description.schema["properties"].as_object().unwrap().keys();
        for member in members {
            assert!(section.contains(&format!("\"{member}\"")), "{message} lacks {member}");
        }
        for paragraph in description.schema["description"].as_str().unwrap().split("\n\n") {
            assert!(
                section.contains(paragraph),
                "{message} in docs/messages.md lacks: {paragraph}"
            );
        }
    }
}

#[test]
fn every_header_is_documented() {
    let rows = HEADERS.iter().map(|header| {
        let always = match header.presence {
            Presence::Always => "yes",
            Presence::Sometimes(when) => when,
        };
        format!("| `{}` | {} | {always} |\n", header.name, header.holds)
    });
    let table: String = ["| header | holds | always |\n| --- | --- | --- |\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    let text = read("docs/messages.md");
    assert!(
        text.contains(&format!("{table}\n")),
        "docs/messages.md has another table than:\n{table}"
    );
}

/// What stands between the marks of the tour, as one script.
fn tour() -> String {
    let text = [read("README.md"), read("docs/feed.md")].concat();
    let blocks = text.split("<!-- tour -->").skip(1);
    let blocks = blocks.map(|rest| rest.split("<!-- /tour -->").next().unwrap());
    let code = blocks.map(|block| block.trim().trim_start_matches("```sh").trim_end_matches("```"));
    code.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_works_as_written() {
    let directory = fresh_directory("documents-tour");
    let mut process = Process::spawn("tour", dev(&directory), free_address());
    process.ready().await;
    let script = format!("set -e -o pipefail\n. '{}/dev.env'\n{}", directory.display(), tour());
    // The tour calls the binary where `make run` puts it; these tests know where it is.
    let script = script.replace("target/debug/annals", env!("CARGO_BIN_EXE_annals"));
    let toured = tokio::task::block_in_place(|| {
        Command::new("timeout").args(["240", "bash", "-c", &script]).current_dir(root()).output()
    })
    .unwrap();
    let told = String::from_utf8_lossy(&toured.stdout);
    assert!(toured.status.success(), "{told}{}", String::from_utf8_lossy(&toured.stderr));
    for seen in [
        "not-logged-in",
        "`products.manage`",
        "{\"permission\":\"orders.place\",\"reach\":\"own\"}",
        "\"status\":\"confirmed\"",
        "\"shortages\"",
        "\"available\":8",
        "\"keepers\":[{",
        "idempotency-replayed: true",
        "idempotency-key-reused",
        "/lines/0/quantity",
        "annals.ordering.order-confirmed.v1",
        "event: ordering.order-confirmed.v1",
        "event: snapshot",
        "orders is made anew",
        "\"ready\":true",
        "annals_log_position",
    ] {
        assert!(told.contains(seen), "the tour shows {seen}: {told}");
    }
    process.signal(Signal::INT);
    assert!(process.ended(std::time::Duration::from_secs(30)).await.success());
}
