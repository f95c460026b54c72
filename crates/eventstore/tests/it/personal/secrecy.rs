//! Who has a copy of the database, its files or its log has nothing personal.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use eventstore::{Append, CommandId, EventStore};
use testkit::{Postgres, TestDatabase};

use super::{erase, keyring, metadata, register, sealed, subject};
use crate::support::{MIGRATOR, append, exactly, id, stream, to};

const EMAIL: &str = "ada.lovelace.1815@example.org";

/// Not personal: what finds this would find the address.
const CONTROL: &str = "control-of-the-scan";

/// The address as it might be found in a copy.
fn forms() -> [Vec<u8>; 3] {
    let hex: Vec<_> = EMAIL.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = STANDARD_NO_PAD.encode(EMAIL);
    [EMAIL.into(), hex.concat().into(), base64.into()]
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn assert_secret(copy: &[u8], what: &str) {
    for form in forms() {
        assert!(!holds(copy, &form), "{what} holds {}", String::from_utf8_lossy(&form));
    }
}

fn dump(postgres: &Postgres, database: &TestDatabase) -> Vec<u8> {
    let mut command = Command::new(postgres.program("pg_dump"));
    let output = command.arg(format!("--dbname={}", database.url())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every file below `folder`.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Whether any file of the server holds the control; none may hold the address.
fn scan_files(postgres: &Postgres) -> bool {
    let mut paths = Vec::new();
    files(&postgres.data_directory(), &mut paths);
    let mut seen = false;
    for path in paths {
        // Some come and go.
        let Ok(content) = std::fs::read(&path) else { continue };
        assert_secret(&content, &path.display().to_string());
        seen |= holds(&content, CONTROL.as_bytes());
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_dump_nor_the_files_nor_the_log_of_the_server_hold_it() {
    // The server logs everything it can: statements, their parameters, and those of errors.
    let settings = [
        "log_statement=all",
        "log_parameter_max_length_on_error=-1",
        "log_error_verbosity=verbose",
    ];
    let postgres =
        tokio::task::block_in_place(|| Postgres::start_ephemeral_with(&settings)).unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", EMAIL).await;
    let mut command = to("b", exactly(0), 0);
    command.events.push(sealed(&keyring, "b", "customer:1", EMAIL).await.unwrap());
    command.events[0].payload =
        command.events[0].payload.replace("\"basic\"", &format!("\"{CONTROL}\""));
    let digests = keyring.digests().await.unwrap();
    let claim = digests.claim("email", EMAIL, stream("b"), subject("customer:1"));
    command.claims.push(claim);
    let fingerprint = digests.fingerprint(EMAIL.as_bytes());
    let command = Append { fingerprint, ..Append { command_id: CommandId::new(id()), ..command } };
    append(&store, command).await.unwrap();
    // An error that shows what it is about.
    let mut broken = to("c", exactly(0), 0);
    broken.events.push(sealed(&keyring, "c", "customer:1", EMAIL).await.unwrap());
    broken.events[0].payload.push('}');
    assert!(append(&store, broken).await.is_err());

    for erased in [false, true] {
        if erased {
            keyring.erase(&subject("customer:1"), CommandId::new(id()), metadata()).await.unwrap();
        }
        sqlx::query("CHECKPOINT").execute(store.pool()).await.unwrap();
        let dump = dump(&postgres, &database);
        assert_secret(&dump, "the dump");
        assert!(holds(&dump, CONTROL.as_bytes()), "the dump is looked through");
        assert!(scan_files(&postgres), "the files are looked through");
        let log = std::fs::read(postgres.log()).unwrap();
        assert_secret(&log, "the log of the server");
        assert!(holds(&log, b"customer:1") && holds(&log, b"invalid input syntax for type json"));
    }
    erase(&keyring, "customer:1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_without_personal_data_cause_no_statement() {
    let settings = ["log_statement=all"];
    let postgres =
        tokio::task::block_in_place(|| Postgres::start_ephemeral_with(&settings)).unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    let keyring = keyring(&store).await;
    append(&store, to("a", exactly(0), 100)).await.unwrap();
    // Those of the watching task are its own and come whatever is read.
    let for_keys = || {
        let log = std::fs::read_to_string(postgres.log()).unwrap();
        log.matches("WHERE subject = ANY").count()
            + log.matches("INTO eventstore.subject_keys").count()
    };
    let events = crate::support::all(&store).await;
    let decode = |event: &eventstore::RecordedEvent| {
        serde_json::from_str::<serde_json::Value>(&event.payload)
    };
    // The migrations, too, are statements.
    let before = for_keys();
    keyring.open_events(&events, decode).await.unwrap();
    assert_eq!(for_keys(), before);
    register(&store, &keyring, "b", "customer:1", EMAIL).await;
    assert!(for_keys() > before, "this is how they look");
}
