//! What is sealed opens again, unchanged, where it belongs, and nowhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use eventstore::{KeyringError, Personal, PersonalError, Place};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use super::{Registered, because, emails, keyring, read, register, registrations, sealed, subject};
use crate::support::{all, append, exactly, log, stream, to};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Profile {
    names: Vec<Personal<String>>,
    numbers: Personal<BTreeMap<String, Option<i64>>>,
    note: Option<Personal<String>>,
    friend: Personal<Vec<Personal<String>>>,
}

fn personal<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Personal<T>> {
    // Of more subjects than the cache has room for.
    (0..20, value).prop_map(|(of, value)| Personal::new(subject(&format!("s:{of}")), value))
}

fn profile() -> impl Strategy<Value = Profile> {
    let text = || proptest::string::string_regex("(?s).{0,40}").unwrap();
    (
        proptest::collection::vec(personal(text()), 0..4),
        personal(proptest::collection::btree_map(text(), any::<Option<i64>>(), 0..3)),
        proptest::option::of(personal(text())),
        personal(proptest::collection::vec(personal(text()), 0..3)),
    )
        .prop_map(|(names, numbers, note, friend)| Profile { names, numbers, note, friend })
}

#[test]
fn any_value_of_any_subjects_comes_back_and_is_not_seen_meanwhile() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_database, store) = runtime.block_on(log());
    let (writer, reader) =
        runtime.block_on(async { (keyring(&store).await, keyring(&store).await) });
    let place = Place::other("test");
    let check = |profile: Profile| {
        runtime.block_on(async {
            let text = writer.seal(&place, || serde_json::to_string(&profile)).await.unwrap();
            let opened = reader.open(&place, || serde_json::from_str::<Profile>(&text)).await;
            prop_assert_eq!(opened.unwrap(), profile.clone());
            for value in profile.names.iter().filter_map(Personal::value) {
                prop_assert!(value.len() < 8 || !text.contains(value.as_str()));
            }
            Ok(())
        })
    };
    let config = ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() };
    TestRunner::new(config).run(&profile(), check).unwrap();
}

#[tokio::test]
async fn outside_of_the_keyring_it_can_be_neither_written_nor_read() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let event = sealed(&keyring, "a", "customer:1", "ada@example.org").await.unwrap();
    let refused = serde_json::from_str::<Registered>(&event.payload).unwrap_err().to_string();
    assert!(refused.contains("inside of `Keyring::open` only"), "{refused}");
    let place = Place::event(&stream("a"));
    let opened: Registered =
        keyring.open(&place, || serde_json::from_str(&event.payload)).await.unwrap();
    let refused = serde_json::to_string(&opened).unwrap_err().to_string();
    assert!(refused.contains("inside of `Keyring::seal` only"), "{refused}");
    let refused = keyring.open(&place, || serde_json::to_string(&opened)).await;
    assert!(matches!(refused, Err(PersonalError::Codec(_))), "to open is not to seal");
    assert!(!format!("{opened:?}").contains("ada"), "{opened:?}");
}

#[tokio::test]
async fn what_was_touched_or_moved_does_not_open() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    register(&store, &keyring, "b", "customer:2", "bob@example.org").await;
    let [ada, bob] = registrations(&store).await.try_into().unwrap();
    let parts = |payload: &str| -> serde_json::Value { serde_json::from_str(payload).unwrap() };
    let (of_ada, of_bob) = (parts(&ada.payload), parts(&bob.payload));
    let refusal = async |email: serde_json::Value| {
        let mut changed = ada.clone();
        changed.payload = serde_json::json!({ "plan": "basic", "email": email }).to_string();
        because(read(&keyring, &[changed]).await.unwrap_err())
    };

    let mut swapped = of_ada["email"].clone();
    swapped["subject"] = "customer:2".into();
    assert!(matches!(refusal(swapped.clone()).await, KeyringError::OtherKey { .. }));
    swapped["key"] = of_bob["email"]["key"].clone();
    assert!(matches!(refusal(swapped).await, KeyringError::Altered { .. }));
    // All of it, as it is, in the event of another stream.
    let moved = refusal(of_bob["email"].clone()).await;
    assert!(matches!(moved, KeyringError::Altered { .. }), "{moved}");
    let text = of_ada["email"]["sealed"].as_str().unwrap();
    for index in [0, text.len() / 2, text.len() - 4] {
        let mut changed = text.to_owned().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let mut touched = of_ada["email"].clone();
        touched["sealed"] = String::from_utf8(changed).unwrap().into();
        assert!(matches!(refusal(touched).await, KeyringError::Altered { .. }), "at {index}");
    }
    let mut unknown = of_ada["email"].clone();
    unknown["subject"] = "customer:3".into();
    assert!(matches!(refusal(unknown).await, KeyringError::UnknownSubject { .. }));
}

#[tokio::test]
async fn no_error_shows_what_is_personal() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let event = sealed(&keyring, "a", "customer:1", "ada@example.org").await.unwrap();
    let place = Place::event(&stream("a"));
    let read = || serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&event.payload);
    let email = read().unwrap()["email"].clone();
    let other = keyring.open(&place, || serde_json::from_value::<Personal<u8>>(email.clone()));
    let other = because(other.await.unwrap_err());
    assert!(matches!(other, KeyringError::Shape { .. }), "{other}");
    assert!(!format!("{other} {other:?}").contains("ada"), "{other:?}");
    // A field that was written before it became personal.
    let plain = r#"{"plan":"basic","email":"ada@example.org"}"#;
    let plain = keyring.open(&place, || serde_json::from_str::<Registered>(plain)).await;
    let plain = plain.unwrap_err();
    assert!(!format!("{plain} {plain:?}").contains("ada"), "{plain:?}");
}

#[tokio::test]
async fn without_personal_data_it_is_one_call_and_no_query() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    append(&store, to("b", exactly(0), 3)).await.unwrap();
    let events = all(&store).await;
    let (personal, others) = events.split_at(1);
    // Whoever asks the database now gets no answer.
    store.pool().close().await;
    let mut calls = 0;
    let decoded = keyring
        .open_events(others, |event| {
            calls += 1;
            serde_json::from_str::<serde_json::Value>(&event.payload)
        })
        .await
        .unwrap();
    assert_eq!((calls, decoded.len()), (others.len(), 3), "each was decoded once");
    let place = Place::event(&stream("b"));
    assert_eq!(keyring.seal(&place, || serde_json::to_string(&decoded[0])).await.unwrap(), "{}");
    testkit::eventually(Duration::from_secs(20), "the cached key to be used", async || {
        read(&keyring, personal).await.map_err(|error| error.to_string())
    })
    .await;
    let new = sealed(&keyring, "c", "customer:2", "bob@example.org").await;
    assert!(matches!(because(new.unwrap_err()), KeyringError::Database { .. }));
}

#[tokio::test]
async fn a_page_of_many_subjects_takes_two_passes_and_then_one() {
    let (_database, store) = log().await;
    let writer = keyring(&store).await;
    for number in 0..6 {
        let (name, of) = (format!("a-{number}"), format!("customer:{number}"));
        register(&store, &writer, &name, &of, &format!("{number}@example.org")).await;
    }
    let (events, reader) = (registrations(&store).await, keyring(&store).await);
    let calls = async || {
        let mut calls = 0;
        let read = reader.open_events(&events, |event| {
            calls += 1;
            serde_json::from_str::<Registered>(&event.payload)
        });
        assert_eq!(read.await.unwrap()[5].email.value().unwrap(), "5@example.org");
        calls
    };
    assert_eq!(calls().await, 12);
    testkit::eventually(Duration::from_secs(20), "the cached keys to be used", async || {
        let calls = calls().await;
        if calls == 6 { Ok(()) } else { Err(calls) }
    })
    .await;
    assert_eq!(emails(&store, &writer).await.len(), 6);
}
