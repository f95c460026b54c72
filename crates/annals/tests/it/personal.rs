//! Erasing and the keys of personal data, as an operator types it.

use std::num::NonZeroUsize;
use std::process::Output;

use eventstore::{EventStore, KeyEncryptionKeys, Keyring, Personal, Place, Subject};
use testkit::TestDatabase;

use crate::command_line::refusal;
use crate::support::{MIGRATOR, annals};

const OLD: &str = "old=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "new=AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// What `arguments` answers, with these key-encryption keys.
fn run(arguments: &[&str], database: &TestDatabase, keys: &str) -> Output {
    let mut command = annals(arguments);
    command.env("DATABASE_URL", database.url()).env("NATS_URL", "nats://127.0.0.1:1");
    if !keys.is_empty() {
        command.env("ANNALS_KEYS__ENCRYPTION", keys);
    }
    command.output().unwrap()
}

fn told(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn keyring(database: &TestDatabase, keys: &str) -> Keyring {
    let store = EventStore::open(database.pool()).await.unwrap();
    let keys: KeyEncryptionKeys = keys.parse().unwrap();
    Keyring::connect(&store, keys, NonZeroUsize::MIN).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_and_rotated_and_a_subject_is_erased() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let (subject, place) = (Subject::new("customer:1").unwrap(), Place::other("test"));
    let keys = keyring(&database, OLD).await;
    let value = Personal::new(subject.clone(), "ada@example.org".to_owned());
    let sealed = keys.seal(&place, || serde_json::to_string(&value)).await.unwrap();
    drop(keys);

    let serve = ["serve", "--set", "http.address=127.0.0.1:0"];
    for keys in ["", NEW] {
        let sentence = refusal(&run(&serve, &database, keys));
        assert!(sentence.contains("key-encryption key old"), "{sentence}");
    }
    let sentence = refusal(&run(&["keys", "rotate"], &database, ""));
    assert!(sentence.contains("ANNALS_KEYS__ENCRYPTION"), "{sentence}");
    let both = format!("{NEW},{OLD}");
    let listed = told(run(&["keys", "list"], &database, &both));
    assert!(listed.lines().any(|line| line.split_whitespace().eq(["old", "1", "yes"])), "{listed}");
    let rotated = told(run(&["keys", "rotate"], &database, &both));
    assert_eq!(rotated.trim(), "wrapped 1 keys by new");
    let listed = told(run(&["keys", "list"], &database, NEW));
    assert!(listed.lines().any(|line| line.split_whitespace().eq(["new", "1", "current"])));

    let sentence = refusal(&run(&["erase", "customer:1"], &database, ""));
    assert!(sentence.contains("--yes"), "{sentence}");
    let open = || serde_json::from_str::<Personal<String>>(&sealed);
    let keys = keyring(&database, NEW).await;
    assert_eq!(keys.open(&place, open).await.unwrap(), value);
    // No key is needed to erase.
    let id = "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22";
    for _ in 0..2 {
        let erase = ["erase", "customer:1", "--yes", "--command-id", id];
        let erased = told(run(&erase, &database, ""));
        assert!(erased.contains(id) && erased.contains("position 1"), "{erased}");
    }
    let fresh = keyring(&database, NEW).await;
    assert!(fresh.open(&place, open).await.unwrap().is_erased());
    let listed = told(run(&["keys", "list"], &database, ""));
    assert!(listed.lines().any(|line| line.split_whitespace().eq(["(erased)", "1"])), "{listed}");
    let shown = told(run(&["events", "show", "eventstore.subject-customer:1"], &database, ""));
    assert!(shown.contains("eventstore.subject-erased.v1"), "{shown}");
}
