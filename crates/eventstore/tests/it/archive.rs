//! The log as a file: an archive gives an equal log, wherever its making was cut off, and what is no
//! archive gives nothing.

use std::fmt::Write as _;

use eventstore::archive::{Earlier, Export, Import, ImportError, Imported, ResumeError, Scope};
use eventstore::{
    Append, AppendError, Claim, Cursor, EventStore, EventType, ExpectedVersion, Filter, NewEvent,
    Outbound, OutboxPlace, PageLimit, Position, Receipt, Tag,
};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use testkit::TestDatabase;

use crate::support::{
    MIGRATOR, age, all, append, assert_gapless, event, exactly, forget, id, stream, to,
};

/// A log with an id of its own: the databases of tests are copies of one.
async fn fresh() -> (TestDatabase, EventStore) {
    let database = TestDatabase::create(&MIGRATOR).await;
    let renamed = "UPDATE eventstore.log SET id = gen_random_uuid()";
    sqlx::query(renamed).execute(&database.pool()).await.unwrap();
    let store = EventStore::open(database.pool()).await.unwrap();
    (database, store)
}

async fn text(mut export: Export) -> String {
    let mut text = String::new();
    while let Some(chunk) = export.next().await.unwrap() {
        assert!(chunk.text.ends_with('\n') && chunk.reached <= chunk.end);
        text.push_str(&chunk.text);
    }
    text
}

async fn archive(store: &EventStore) -> String {
    text(Export::new(store.clone(), Scope::everything())).await
}

/// Goes on with `earlier`.
async fn resumed(store: &EventStore, scope: Scope, earlier: &str) -> Result<String, ResumeError> {
    match Earlier::read(earlier.as_bytes()).unwrap() {
        None => Ok(text(Export::new(store.clone(), scope)).await),
        Some(found) => {
            let stands = earlier[..usize::try_from(found.bytes()).unwrap()].to_owned();
            Ok(stands + &text(Export::resume(store.clone(), scope, found).await?).await)
        }
    }
}

async fn import(pool: &PgPool, archive: &str) -> Result<Imported, ImportError> {
    let mut lines = archive.lines();
    let mut import = Import::begin(pool, lines.next().unwrap_or_default()).await?;
    for line in lines {
        import.push(line).await?;
    }
    import.commit().await
}

/// Every row of the log and of what belongs to it.
async fn rows(pool: &PgPool) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    for rows in [
        "SELECT id::text FROM eventstore.log",
        "SELECT e::text FROM eventstore.events AS e ORDER BY position",
        "SELECT t::text FROM eventstore.tags AS t ORDER BY t",
        "SELECT c::text FROM eventstore.claims AS c ORDER BY c",
        "SELECT t::text FROM eventstore.types AS t ORDER BY t",
        "SELECT c::text FROM eventstore.commands AS c ORDER BY command_id",
        "SELECT eventstore.event_id(position, recorded_at)::text FROM eventstore.events ORDER BY position",
    ] {
        tables.push(sqlx::query_scalar(rows).fetch_all(pool).await.unwrap());
    }
    tables
}

fn claim(name: &str, value: &str) -> Claim {
    Claim::new("test.name", value, stream(name))
}

/// `archive` with a digest that fits, as somebody would make it who changes more than a line.
fn forged(archive: &str) -> String {
    let (lines, end) = archive.trim_end().rsplit_once('\n').unwrap();
    let mut digest = String::new();
    for byte in Sha256::digest(format!("{lines}\n")) {
        write!(digest, "{byte:02x}").unwrap();
    }
    let (start, _) = end.split_once("\"sha256\":\"").unwrap();
    format!("{lines}\n{start}\"sha256\":\"{digest}\"}}}}\n")
}

/// Only looks at `name`.
fn idle(name: &str) -> Append {
    to(name, ExpectedVersion::Any, 0)
}

/// A log with everything that a log can hold, and the commands that made it.
async fn rich(store: &EventStore) -> Vec<(Append, Receipt)> {
    let mut commands = vec![idle("a"), idle("b"), to("a-1", exactly(0), 3)];
    let mut odd = to("b-1", exactly(0), 0);
    odd.metadata.causation_id = Some(id());
    odd.metadata.tenant = Some(id());
    odd.metadata.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    odd.metadata.actor = String::from("Zoë \"the\" \\ actor\u{2028}\u{1f600}");
    for payload in [
        "{\"a\" : 1.0e2,\r\n\t\"a\":\t10000000000000000000000000001, \"\\u00e9\\ud83d\\ude00\":\"é\"}",
        " [ ] ",
        "null",
        "\"\\u0041/\\/\u{7f}\"",
        "-0",
    ] {
        let (name, kind) = (stream("b-1"), EventType::new("test.odd", 32_767));
        let tags = ["z:1", "a:\u{e9}", "m"].map(|tag| Tag::new(tag).unwrap()).to_vec();
        odd.events.push(NewEvent { tags, ..NewEvent::new(name, kind, payload) });
    }
    commands.push(odd);
    commands.push(idle("a-1"));
    let mut several = to("a-1", exactly(3), 2);
    several.expectations.push((stream("c-1"), exactly(0)));
    several.events.insert(1, event("c-1"));
    several.events.push(event("c-1"));
    several.claims = vec![claim("a-1", "first"), claim("c-1", ""), claim("c-1", "é")];
    commands.push(several);
    let mut moved = to("c-1", ExpectedVersion::Exists, 1);
    moved.releases = vec![claim("c-1", "")];
    moved.claims = vec![claim("c-1", "second")];
    commands.push(moved);
    commands.push(idle("c-1"));
    commands.push(idle("z"));
    let mut done = Vec::new();
    for command in commands {
        let receipt = append(store, command.clone()).await.unwrap();
        done.push((command, receipt));
    }
    // Many at once share a commit.
    let together: Vec<_> = (0..40).map(|n| to(&format!("d-{n}"), exactly(0), n % 4)).collect();
    let receipts = join_all(together.iter().map(|command| append(store, command.clone()))).await;
    done.extend(together.into_iter().zip(receipts.into_iter().map(Result::unwrap)));
    let mut transaction = store.pool().begin().await.unwrap();
    let inside = to("e-1", exactly(0), 2);
    let receipt = store.append_in(&mut transaction, &inside).await.unwrap();
    transaction.commit().await.unwrap();
    done.push((inside, receipt));
    let last = idle("e-1");
    let receipt = append(store, last.clone()).await.unwrap();
    done.push((last, receipt));
    done
}

/// An empty log with small partitions.
async fn small_partitions() -> (TestDatabase, EventStore) {
    let (database, store) = fresh().await;
    for statement in [
        "DROP TABLE eventstore.events_000001, eventstore.events_000002, eventstore.events_000003",
        "UPDATE eventstore.log SET partition_events = 1000",
        "SELECT eventstore.add_partitions()",
    ] {
        sqlx::query(statement).execute(&database.pool()).await.unwrap();
    }
    (database, store)
}

#[tokio::test]
async fn an_archive_gives_an_equal_log() {
    let (from, store) = fresh().await;
    let done = rich(&store).await;
    let written = archive(&store).await;

    let (into, _) = fresh().await;
    let imported = import(&into.pool(), &written).await.unwrap();
    let copy = EventStore::open(into.pool()).await.unwrap();
    assert_eq!((imported.log_id, copy.log_id()), (store.log_id(), store.log_id()));
    assert_eq!(imported.position, store.head().await.unwrap());
    assert_eq!(imported.commands, done.len() as u64);
    assert_eq!(rows(&into.pool()).await, rows(&from.pool()).await);
    assert_eq!(archive(&copy).await, written, "byte for byte");

    for (command, receipt) in done {
        let again = append(&copy, command.clone()).await.unwrap();
        assert_eq!(again, Receipt { repeated: true, ..receipt });
        let fingerprint = eventstore::Fingerprint::of(b"something else");
        let other = append(&copy, Append { fingerprint, ..command }).await;
        assert!(matches!(other, Err(AppendError::OtherBody { .. })), "{other:?}");
    }
    for (value, is_free) in [("first", false), ("second", false), ("é", false), ("", true)] {
        let mut command = to(&format!("new-{value}"), exactly(0), 1);
        command.claims.push(claim(&format!("new-{value}"), value));
        let outcome = append(&copy, command).await;
        assert_eq!(outcome.is_ok(), is_free, "{value:?}: {outcome:?}");
    }
    append(&copy, to("a-1", exactly(5), 1)).await.unwrap();
    assert_gapless(&all(&copy).await);

    let has_subject = |item: &Outbound| matches!(item, Outbound::Event { subject: Some(_), .. });
    // The outbox begins behind what was taken in; up to there the contract says what is public.
    assert_eq!(copy.outbox_floor().await.unwrap(), imported.position);
    let limit = PageLimit { events: 1_000, bytes: usize::MAX };
    let page = copy.read_outbound(OutboxPlace::after(Position::START), limit).await.unwrap();
    assert_eq!(page.items.len(), usize::try_from(imported.position.get()).unwrap());
    assert_eq!(page.reached, OutboxPlace::after(imported.position));
    assert!(!page.items.iter().any(has_subject));
    let page = copy.read_outbound(page.reached, limit).await.unwrap();
    assert!(!page.items.is_empty() && page.items.iter().all(has_subject));
}

#[tokio::test]
async fn a_log_that_forgot_commands_gives_an_equal_log() {
    let (database, store) = fresh().await;
    let done = rich(&store).await;
    // Not so that an export goes on where it ended.
    let earlier = archive(&store).await;
    age(&store, 13, 31).await;
    let (_, forgotten) = forget(&store, 3).await;
    assert!(forgotten > 5, "{forgotten}");
    let archive = archive(&store).await;
    assert!(archive.lines().count() < earlier.lines().count());
    let (copied, copy) = fresh().await;
    import(&copied.pool(), &archive).await.unwrap();
    assert_eq!(rows(&copied.pool()).await, rows(&database.pool()).await);
    let mut again = 0;
    for (command, receipt) in &done {
        let repeated = copy.repeated(command.command_id, command.fingerprint).await.unwrap();
        again += usize::from(repeated.is_some_and(|again| again.streams == receipt.streams));
    }
    assert_eq!(again as u64 + forgotten, done.len() as u64);
}

#[tokio::test]
async fn the_archive_of_the_document_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/archive-format.md");
    let document = std::fs::read_to_string(path).unwrap();
    let block = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let (into, _) = fresh().await;
    import(&into.pool(), block).await.unwrap();
    let copy = EventStore::open(into.pool()).await.unwrap();
    assert_eq!(archive(&copy).await, block);
}

/// As it was written before events had tenants.
const OLDER: &str = r#"{"archive":{"format":"annals-log","version":1,"log":"6f0c3c1e-5a55-4d0f-8a4e-1c2b9d6e7f10","after":0,"filter":{}}}
{"event":{"position":1,"recorded_at":"2026-01-01T09:30:00.123456Z","id":"019b78e4-823b-7e75-ae7f-100000000001","stream":"bank.account-1","version":1,"type":"bank.account-opened","schema_version":1,"command_id":"019b7900-0000-7000-8000-000000000001","correlation_id":"019b7900-0000-7000-8000-000000000001","actor":"teller","tags":["owner:7"],"payload":"{\"owner\": 7}"}}
{"command":{"id":"019b7900-0000-7000-8000-000000000001","fingerprint":"73e3e8f6e0e244dac0633dd4633eeea5975af41e86cef3bd0d90ef5ae9bde25e","first_position":1,"last_position":1,"recorded_at":"2026-01-01T09:30:00.123456Z"}}
{"command":{"id":"019b7900-0000-7000-8000-000000000002","fingerprint":"6f74ebf49748e5c66876be21e4ccfc4fad6d53038b0a93951dccb2989d93d1b0","first_position":2,"last_position":1,"recorded_at":"2026-01-01T09:31:00.000000Z"}}
{"claim":{"namespace":"bank.number","value":"DE01","stream":"bank.account-1"}}
{"end":{"position":1,"complete":true,"events":1,"commands":2,"claims":1,"sha256":"c8a93de42eec00e21ebeb441f79ad69492914bec6340624e6d6526d4d4f3154b"}}
"#;

#[tokio::test]
async fn an_older_archive_is_taken_in_and_not_gone_on_with() {
    let (into, _) = fresh().await;
    import(&into.pool(), OLDER).await.unwrap();
    let copy = EventStore::open(into.pool()).await.unwrap();
    assert_eq!(all(&copy).await[0].metadata.tenant, None);
    let refused = resumed(&copy, Scope::everything(), OLDER).await.unwrap_err();
    assert!(matches!(refused, ResumeError::OtherVersion { found: 1 }), "{refused}");
    let same = OLDER.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(archive(&copy).await, forged(&same), "but for the version");
}

#[tokio::test]
async fn an_empty_log_is_an_archive_too() {
    let (from, store) = fresh().await;
    let written = archive(&store).await;
    assert_eq!(written.lines().count(), 2);
    let (into, _) = fresh().await;
    import(&into.pool(), &written).await.unwrap();
    assert_eq!(rows(&into.pool()).await, rows(&from.pool()).await);
}

#[tokio::test]
async fn wherever_an_export_is_cut_off_it_goes_on_to_the_same() {
    let (_database, store) = fresh().await;
    rich(&store).await;
    let shorter = archive(&store).await;
    append(&store, idle("e-1")).await.unwrap();
    let mut more = to("f-1", exactly(0), 2);
    more.claims.push(claim("f-1", "between"));
    append(&store, more).await.unwrap();
    append(&store, idle("f-1")).await.unwrap();
    let longer = archive(&store).await;
    let mut cuts: Vec<_> = shorter.match_indices('\n').flat_map(|(at, _)| [at, at + 1]).collect();
    cuts.extend((0..shorter.len()).step_by(397));
    for cut in cuts.into_iter().filter(|cut| shorter.is_char_boundary(*cut)) {
        let went_on = resumed(&store, Scope::everything(), &shorter[..cut]).await.unwrap();
        assert!(went_on == longer, "cut at byte {cut}");
    }

    let scope = Scope {
        filter: Filter { tags: vec![Tag::new("m").unwrap()], ..Filter::types(["test.odd"]) },
        after: Position::new(4),
        to: Position::MAX,
    };
    let extract = text(Export::new(store.clone(), scope.clone())).await;
    assert_eq!(extract.lines().count(), 2 + 4);
    for cut in (0..=extract.len()).filter(|cut| extract.is_char_boundary(*cut)) {
        let went_on = resumed(&store, scope.clone(), &extract[..cut]).await.unwrap();
        assert!(went_on == extract, "cut at byte {cut}");
    }
}

#[tokio::test]
async fn an_export_goes_on_only_with_its_own() {
    let (_database, store) = fresh().await;
    rich(&store).await;
    let written = archive(&store).await;
    let (_other_database, other) = fresh().await;
    rich(&other).await;
    let refused = resumed(&other, Scope::everything(), &written).await.unwrap_err();
    assert!(matches!(refused, ResumeError::OtherLog { .. }), "{refused}");
    let scope = Scope { filter: Filter::types(["test.odd"]), ..Scope::everything() };
    let refused = resumed(&store, scope, &written).await.unwrap_err();
    assert!(refused.to_string().contains(r#"with the filter {"types":["test.odd"]}"#), "{refused}");
    let scope = Scope { to: Position::new(3), ..Scope::everything() };
    let refused = resumed(&store, scope, &written).await.unwrap_err();
    assert!(matches!(refused, ResumeError::Beyond { .. }), "{refused}");

    // A log that was restored to before what was exported, and went on otherwise.
    let short = Scope { to: Position::new(3), ..Scope::everything() };
    let first = text(Export::new(store.clone(), short)).await;
    let whole = format!("{}\n", first.lines().take(4).collect::<Vec<_>>().join("\n"));
    let (restored, _) = fresh().await;
    let end = archive(&store).await;
    import(&restored.pool(), &end).await.unwrap();
    let restored = EventStore::open(restored.pool()).await.unwrap();
    append(&restored, to("otherwise", exactly(0), 1)).await.unwrap();
    let diverged = archive(&restored).await;
    let refused = resumed(&store, Scope::everything(), &diverged).await.unwrap_err();
    assert!(matches!(refused, ResumeError::OtherEvent(_)), "{refused}");
    for earlier in [&whole, &first] {
        assert!(resumed(&store, Scope::everything(), earlier).await.unwrap() == end);
    }
    assert!(Earlier::read(&b"Dear diary,\ntoday\n"[..]).is_err(), "not even an export");
}

#[tokio::test]
async fn what_is_damaged_gives_nothing() {
    let (_database, store) = fresh().await;
    rich(&store).await;
    let good = archive(&store).await;
    let lines: Vec<&str> = good.lines().collect();
    let join = |lines: &[&str]| lines.join("\n");
    let without = |number: usize| join(&[&lines[..number], &lines[number + 1..]].concat());
    let event_lines = lines.iter().enumerate().filter(|(_, line)| line.starts_with("{\"event\""));
    let events: Vec<_> = event_lines.map(|(number, _)| number).collect();
    let mut swapped = lines.clone();
    swapped.swap(events[0], events[1]);
    let end = lines.len() - 1;
    let part = Scope { to: Position::new(5), ..Scope::everything() };
    let odd = Scope { filter: Filter::types(["test.odd"]), ..Scope::everything() };
    let cases = [
        ("no header", without(0), "damaged"),
        ("nothing", String::new(), "damaged"),
        ("an event is missing", without(events[3]), "damaged"),
        ("a command is missing", without(events[2] + 1), "damaged"),
        ("an idle command is missing", without(1), "damaged"),
        ("a claim is missing", without(end - 1), "damaged"),
        ("the end is missing", without(end), "cut off"),
        ("the end is torn", good[..good.len() - 20].to_owned(), "damaged"),
        ("events change places", join(&swapped), "damaged"),
        (
            "a payload was changed",
            good.replacen("\"payload\":\"{}\"", "\"payload\":\"[]\"", 1),
            "damaged",
        ),
        (
            "an actor was changed",
            good.replacen("\"actor\":\"test\"", "\"actor\":\"toast\"", 1),
            "damaged",
        ),
        (
            "a time was changed",
            good.replacen("\"recorded_at\":\"20", "\"recorded_at\":\"19", 1),
            "damaged",
        ),
        (
            "a version was changed",
            forged(&good.replacen("\"version\":2,\"type\"", "\"version\":3,\"type\"", 1)),
            "is not version 2",
        ),
        ("an unknown member", good.replacen("\"actor\"", "\"colour\":1,\"actor\"", 1), "damaged"),
        ("another format version", good.replacen("\"version\":2", "\"version\":3", 1), "damaged"),
        ("another archive behind it", format!("{good}{good}"), "damaged"),
        ("the end twice", format!("{good}{}\n", lines[end]), "damaged"),
        ("half a log", text(Export::new(store.clone(), part)).await, "has no claims"),
        ("an extract", text(Export::new(store.clone(), odd)).await, "extract"),
    ];
    let (into, _) = fresh().await;
    let empty = rows(&into.pool()).await;
    for (what, damaged, says) in cases {
        let refused = import(&into.pool(), &damaged).await.expect_err(what);
        assert!(refused.to_string().contains(says), "{what}: {refused}");
        assert_eq!(rows(&into.pool()).await, empty, "{what}");
    }
    import(&into.pool(), &good).await.unwrap();
}

#[tokio::test]
async fn only_an_empty_log_that_nobody_follows_takes_an_archive() {
    let (_database, store) = fresh().await;
    rich(&store).await;
    let written = archive(&store).await;
    let header = written.lines().next().unwrap();

    for command in [to("a", exactly(0), 1), idle("a")] {
        let (into, copy) = fresh().await;
        append(&copy, command).await.unwrap();
        let before = rows(&into.pool()).await;
        let refused = Import::begin(&into.pool(), header).await.unwrap_err();
        assert!(matches!(refused, ImportError::NotEmpty), "{refused}");
        assert_eq!(rows(&into.pool()).await, before);
    }
    let (into, _) = fresh().await;
    let _follower = Cursor::lease(&into.pool(), "somebody").await.unwrap().unwrap();
    let refused = Import::begin(&into.pool(), header).await.unwrap_err();
    assert!(refused.to_string().starts_with("somebody follows"), "{refused}");
}

#[tokio::test]
async fn what_imports_write_through_writes_into_no_other_log() {
    let (database, store) = fresh().await;
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    let before = rows(&database.pool()).await;
    for statement in [
        "SELECT eventstore.import_events('{2}', '{2100-01-01}', ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{NULL}', '{2}', '{1}', '{t}', '{a}', '{me}', '{NULL}', '{NULL}', '{NULL}', '{null}')",
        "SELECT eventstore.import_commands(ARRAY[gen_random_uuid()], '{x}', '{1}', '{1}', '{2100-01-01}')",
        "SELECT eventstore.import_claims('{n}', '{v}', '{a}', '{NULL}')",
        "SELECT eventstore.end_import()",
    ] {
        let refused = sqlx::query(statement).execute(&database.pool()).await.unwrap_err();
        assert!(refused.to_string().contains("the log is not empty"), "{refused}");
    }
    assert_eq!(rows(&database.pool()).await, before);
}

#[tokio::test]
async fn claims_are_read_page_by_page() {
    let (from, store) = fresh().await;
    let mut command = to("a", exactly(0), 1);
    command.claims = (0..2_500).map(|number| claim("a", &format!("{number:04}"))).collect();
    // Beside the last one of a page, and the least there can be.
    command
        .claims
        .extend(["", "0999\u{1}", "0999\u{1}\u{1}", "1999 "].map(|value| claim("a", value)));
    append(&store, command).await.unwrap();
    let (into, _) = fresh().await;
    import(&into.pool(), &archive(&store).await).await.unwrap();
    assert_eq!(rows(&into.pool()).await, rows(&from.pool()).await);
}

#[tokio::test]
async fn a_long_log_gets_the_partitions_it_needs() {
    let (from, store) = small_partitions().await;
    for number in 0..9 {
        append(&store, to("long", exactly(number * 500), 500)).await.unwrap();
        sqlx::query("SELECT eventstore.add_partitions()").execute(&from.pool()).await.unwrap();
    }
    let (into, _) = small_partitions().await;
    import(&into.pool(), &archive(&store).await).await.unwrap();
    assert_eq!(rows(&into.pool()).await, rows(&from.pool()).await);
    let partitions =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'eventstore.events'::regclass";
    let partitions: i64 = sqlx::query_scalar(partitions).fetch_one(&into.pool()).await.unwrap();
    assert_eq!(partitions, 4500 / 1000 + 3, "two are empty");
}

/// What is exported while others write is the log as it was at one moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_made_while_others_write_is_of_one_moment() {
    let (_database, store) = fresh().await;
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..60 {
                let name = format!("s-{writer}-{number}");
                let mut command = to(&name, exactly(0), number % 3);
                command.claims.push(claim(&name, &name));
                append(&store, command).await.unwrap();
            }
        })
    });
    let writing: Vec<_> = writers.collect();
    let mut earlier = String::new();
    let mut exports = 0;
    loop {
        let over = writing.iter().all(tokio::task::JoinHandle::is_finished);
        earlier = resumed(&store, Scope::everything(), &earlier).await.unwrap();
        exports += 1;
        let (into, _) = fresh().await;
        let imported = import(&into.pool(), &earlier).await.unwrap();
        assert_eq!(imported.commands, imported.claims, "each command took one value");
        let copy = EventStore::open(into.pool()).await.unwrap();
        assert_gapless(&all(&copy).await);
        if over {
            break;
        }
    }
    assert!(exports > 1);
    assert!(archive(&store).await == earlier);
}
