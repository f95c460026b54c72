//! What an auditor types: export, import, show and diff, with the real binary.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use eventstore::{
    Append, Claim, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata,
    NewEvent, StreamId,
};
use serde_json::{Value, json};
use testkit::{TestDatabase, eventually};

use crate::support::{MIGRATOR, annals, fresh_directory};

const ORDER: &str = "ordering.order-01943c5e-8f22-7d10-8a55-0c3b9d1e4f22";

/// What a command answers; it must succeed.
fn told(arguments: &[&str], database: &TestDatabase) -> String {
    let output = run(arguments, database);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    assert!(output.stderr.is_empty(), "no bar where there is no terminal: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command says on standard error; it must fail.
fn refused(arguments: &[&str], database: &TestDatabase) -> String {
    let output = run(arguments, database);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn run(arguments: &[&str], database: &TestDatabase) -> Output {
    let arguments = [&["events"], arguments].concat();
    annals(&arguments).env("DATABASE_URL", database.url()).output().unwrap()
}

fn golden(kind: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/golden/events");
    fs::read_to_string(format!("{folder}/{kind}.v1.json")).unwrap()
}

/// A log with an order that was placed and confirmed, in two commands.
async fn story() -> (TestDatabase, EventStore) {
    let database = TestDatabase::create(&MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    for (number, kind) in (1..).zip(["ordering.order-placed", "ordering.order-confirmed"]) {
        append(&store, number, kind).await;
    }
    (database, store)
}

async fn append(store: &EventStore, number: u128, kind: &str) {
    let metadata = Metadata {
        actor: "somebody".to_owned(),
        tenant: Some(uuid::Uuid::from_u128(number)),
        correlation_id: uuid::Uuid::from_u128(number),
        causation_id: None,
        trace: None,
    };
    let stream = StreamId::new(ORDER).unwrap();
    let event_type = EventType::new(kind, 1);
    let claim = Claim::new("test", kind, stream.clone());
    let command = CommandId::new(uuid::Uuid::from_u128(number));
    let append = Append {
        expectations: vec![(stream.clone(), ExpectedVersion::Any)],
        events: vec![NewEvent::new(stream, event_type, golden(kind))],
        claims: vec![claim],
        ..Append::new(command, Fingerprint::of(kind.as_bytes()), metadata)
    };
    store.append(append).await.unwrap();
}

fn file(name: &str) -> PathBuf {
    let folder = fresh_directory(&format!("audit-{name}"));
    fs::create_dir_all(&folder).unwrap();
    folder.join("log.ndjson")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_through_a_file_into_another_database_and_back() {
    let (from, store) = story().await;
    let renamed = "UPDATE eventstore.log SET id = gen_random_uuid()";
    sqlx::query(renamed).execute(&from.pool()).await.unwrap();
    let path = file("whole");
    let name = path.to_str().unwrap();
    let said = told(&["export", "--output", name], &from);
    assert_eq!(said, format!("{name} holds all of the log up to position 2\n"));
    let first = fs::read_to_string(&path).unwrap();
    assert_eq!(first, told(&["export"], &from), "standard output gives the same");

    // Torn in the middle of a line, it goes on; so it does when the log has grown.
    fs::write(&path, &first[..first.len() * 2 / 3]).unwrap();
    told(&["export", "--output", name], &from);
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    append(&store, 3, "ordering.order-rejected").await;
    told(&["export", "--output", name], &from);
    let longer = fs::read_to_string(&path).unwrap();
    assert_eq!(longer, told(&["export"], &from));

    let into = TestDatabase::create(&MIGRATOR).await;
    let said = told(&["import", name], &into);
    assert!(said.ends_with("up to position 3, with 3 commands and 3 claims\n"), "{said}");
    assert_eq!(told(&["export"], &into), longer);
    let sentence = refused(&["import", name], &into);
    assert!(sentence.contains("the log is not empty"), "{sentence}");

    let piped = TestDatabase::create(&MIGRATOR).await;
    let mut import = annals(&["events", "import", "-"]);
    import.env("DATABASE_URL", piped.url()).stdin(fs::File::open(&path).unwrap());
    assert!(import.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(told(&["export"], &piped), longer);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_leaves_nothing() {
    let (from, _store) = story().await;
    let archive = told(&["export"], &from);
    let into = TestDatabase::create(&MIGRATOR).await;
    let pool = into.pool();
    let mut import = annals(&["events", "import", "-"]);
    import.env("DATABASE_URL", into.url()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut import = import.spawn().unwrap();
    let end = archive.find("{\"end\"").unwrap();
    import.stdin.as_mut().unwrap().write_all(&archive.as_bytes()[..end]).unwrap();
    let holders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let holds = async |wanted: i64| {
        eventually(Duration::from_secs(40), "the order lock", async || {
            let held: i64 = sqlx::query_scalar(holders).fetch_one(&pool).await.unwrap();
            if held == wanted { Ok(()) } else { Err(held) }
        })
        .await;
    };
    holds(1).await;
    import.kill().unwrap();
    import.wait().unwrap();
    holds(0).await;
    assert!(!told(&["export"], &into).contains("{\"event\""));
    let path = file("killed");
    fs::write(&path, &archive).unwrap();
    told(&["import", path.to_str().unwrap()], &into);
    assert_eq!(told(&["export"], &into), archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_exported() {
    let (database, store) = story().await;
    let all = told(&["export"], &database);
    let first_line = all.lines().find(|line| line.starts_with("{\"event\"")).unwrap();
    let event: Value = serde_json::from_str(first_line).unwrap();
    assert_eq!(event["event"]["payload"], golden("ordering.order-placed"), "byte for byte");
    let at = event["event"]["recorded_at"].as_str().unwrap();
    let placed = ["--type", "ordering.order-placed"];
    let correlation = uuid::Uuid::from_u128(1).to_string();
    for (arguments, count) in [
        (placed.as_slice(), 1),
        (&["--after", "1"], 1),
        (&["--to", "1"], 1),
        (&["--correlation", &correlation], 1),
        (&["--causation", &correlation], 0),
        (&["--category", "ordering.order"], 2),
        (&["--category", "inventory.stock"], 0),
        (&["--actor", "somebody"], 2),
        (&["--actor", "nobody"], 0),
        (&["--tenant", &correlation], 1),
        (&["--tenant", "00000000-0000-7000-8000-0000000000aa"], 0),
        (&["--tag", "t"], 0),
        (&["--since", at], 2),
        (&["--until", at], 1),
        (&["--since", "2100-01-01T00:00:00Z"], 0),
        (&["--until", "2000-01-01T00:00:00+01:00"], 0),
    ] {
        let told = told(&[&["export"], arguments].concat(), &database);
        let events = told.lines().filter(|line| line.starts_with("{\"event\""));
        assert_eq!(events.count(), count, "{arguments:?}: {told}");
        if arguments == ["--since", at] {
            // Since the first event is the whole log.
            assert_eq!(told, all);
            continue;
        }
        let into = TestDatabase::create(&MIGRATOR).await;
        let path = file("part");
        fs::write(&path, told).unwrap();
        let refused = refused(&["import", path.to_str().unwrap()], &into);
        assert!(refused.contains("extract") || refused.contains("no claims"), "{refused}");
    }
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_spoils_no_file_of_another_kind() {
    let (database, _store) = story().await;
    let path = file("other");
    let name = path.to_str().unwrap();
    let extract = told(&["export", "--type", "ordering.order-placed"], &database);
    for (content, says) in [
        ("Dear diary", "something else than an export"),
        ("Dear diary,\ntoday\n", "no export to go on with"),
        ("{\"archive\":{\"format\":\"annals-log\",\"version\":7}}\n", "version 7 is not known"),
        (&extract, "begins after position 0 with the filter"),
    ] {
        fs::write(&path, content).unwrap();
        let sentence = refused(&["export", "--output", name], &database);
        assert!(sentence.contains(says) && sentence.contains(name), "{sentence}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "untouched");
    }
    let unknown = refused(&["export", "--type", "ordering.order-plcaed"], &database);
    assert!(unknown.contains("ordering.order-placed"), "{unknown}");
    let unknown = refused(&["export", "--category", "order"], &database);
    assert!(unknown.contains("ordering.order"), "{unknown}");
    let bad = refused(&["export", "--since", "yesterday"], &database);
    assert!(bad.contains("2026-01-01T00:00:00Z"), "{bad}");
    let absent = refused(&["import", "/nowhere/log.ndjson"], &database);
    assert!(absent.contains("open /nowhere/log.ndjson"), "{absent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_shown_as_it_was() {
    let (database, _store) = story().await;
    let shown = told(&["show", ORDER, "--json"], &database);
    let events: Vec<Value> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = events[0]["recorded_at"].as_str().unwrap();
    for (moment, count) in [
        ("version:1", 1),
        ("position:2", 2),
        ("version:0", 0),
        (at, 1),
        ("2100-01-01T00:00:00Z", 2),
    ] {
        let shown = told(&["show", ORDER, "--as-of", moment, "--json"], &database);
        assert_eq!(shown.lines().count(), count, "{moment}");
    }
    let before = told(&["show", ORDER, "--as-of", "1999-12-31T23:59:59Z"], &database);
    assert_eq!(before, format!("nothing had happened to {ORDER} yet\n"));
    let id = events[1]["event_id"].as_str().unwrap();
    let event = told(&["show", "--event", id, "--json"], &database);
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), events[1]);

    for (moment, says) in [
        ("version:3", "is at version 2, 3 is not there yet"),
        ("position:3", "ends at position 2, 3 is not there yet"),
        ("yesterday", "`position:120`, or a version of the stream, such as `version:7`"),
        ("2026-01-01", "must be a time with its offset"),
    ] {
        let sentence = refused(&["show", ORDER, "--as-of", moment], &database);
        assert!(sentence.contains(says), "{sentence}");
    }
    let absent = refused(&["show", "--event", &uuid::Uuid::nil().to_string()], &database);
    assert!(absent.contains("no event of this log has the id"), "{absent}");
    let neither = refused(&["show"], &database);
    assert!(neither.contains("<STREAM>"), "{neither}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_told_with_the_events_that_did_it() {
    let (database, _store) = story().await;
    let moments = ["--from", "version:1", "--to", "version:2"];
    let text = told(&[&["diff", ORDER], moments.as_slice()].concat(), &database);
    assert!(text.contains("\n  /status: \"placed\" -> \"confirmed\"\n"), "{text}");
    assert!(text.contains("  @2  ") && text.contains("ordering.order-confirmed.v1"), "{text}");
    assert!(!text.contains("  @1  "), "{text}");
    let document = told(&[&["diff", ORDER, "--json"], moments.as_slice()].concat(), &database);
    let document: Value = serde_json::from_str(&document).unwrap();
    let change = json!([{ "pointer": "/status", "from": "placed", "to": "confirmed" }]);
    assert_eq!(document["changes"], change);
    let placed: Value = serde_json::from_str(&golden("ordering.order-placed")).unwrap();
    assert_eq!(document["from"]["state"], json!({ "status": "placed", "placed": placed }));
    assert_eq!(document["events"].as_array().unwrap().len(), 1);

    let same = told(&["diff", ORDER, "--from", "position:1", "--to", "version:1"], &database);
    assert!(same.ends_with("nothing differs\n"), "{same}");
    let reversed = refused(&["diff", ORDER, "--from", "version:2", "--to", "version:1"], &database);
    assert!(reversed.contains("version:2, is after the second, version:1"), "{reversed}");
    let foreign = refused(&["diff", "a-1", "--from", "version:0", "--to", "version:0"], &database);
    assert!(foreign.contains("names no stream of this domain"), "{foreign}");
    let absent = ORDER.replace("4f22", "4f23");
    let absent = refused(&["diff", &absent, "--from", "version:0", "--to", "version:0"], &database);
    assert!(absent.contains("no stream is called"), "{absent}");
}
