//! One key for each subject, whoever is first; and the keys that wrap them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventstore::personal::{WrappedKeys, count_keys};
use eventstore::{
    EventStore, Fingerprint, KeyEncryptionKeys, Keyring, KeyringError, Personal, Place,
};

use super::{
    because, emails, erase, key_encryption_keys, keyring, keyring_with, read, register,
    registrations, subject,
};
use crate::support::{log, stream};

/// The second key is current, the first unwraps.
fn both() -> KeyEncryptionKeys {
    KeyEncryptionKeys::new("second", [2; 32]).unwrap().and("first", [1; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_need_a_key_at_once_all_get_the_same() {
    let (_database, store) = log().await;
    let mut tasks = Vec::new();
    for number in 0..16 {
        let store = if number < 3 {
            EventStore::open(store.pool().clone()).await.unwrap()
        } else {
            store.clone()
        };
        let keyring = keyring(&store).await;
        tasks.push(tokio::spawn(async move {
            let email = format!("{number}@example.org");
            register(&store, &keyring, &format!("a-{number}"), "customer:1", &email).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let counts = count_keys(&store).await.unwrap();
    assert_eq!(counts.wrapped, [WrappedKeys { by: "first".to_owned(), keys: 1 }]);
    let mut read = emails(&store, &keyring(&store).await).await;
    read.sort_unstable();
    let mut expected: Vec<_> = (0..16).map(|n| Some(format!("{n}@example.org"))).collect();
    expected.sort_unstable();
    assert_eq!(read, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_wrapped_anew_while_others_write_and_erase() {
    let (_database, store) = log().await;
    let old = keyring_with(
        &store,
        KeyEncryptionKeys::new("first", [1; 32]).unwrap().and("second", [2; 32]).unwrap(),
    )
    .await;
    for number in 0..40 {
        let of = format!("before:{number}");
        register(&store, &old, "a", &of, &format!("{of}@example.org")).await;
    }
    let new = keyring_with(&store, both()).await;
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, old, done) = (store.clone(), old.clone(), Arc::clone(&done));
        async move {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) || number < 10 {
                let of = format!("during:{number}");
                register(&store, &old, "b", &of, &format!("{of}@example.org")).await;
                erase(&old, &format!("before:{number}")).await.unwrap();
                number += 1;
            }
            number
        }
    });
    let mut rotated = 0;
    for _ in 0..3 {
        rotated += new.rotate().await.unwrap().keys;
    }
    done.store(true, Ordering::Relaxed);
    let number = writing.await.unwrap();
    let rest = new.rotate().await.unwrap();
    assert_eq!(rest.left, 0);
    assert!(rotated + rest.keys >= 10, "{rotated} and {}", rest.keys);
    let counts = count_keys(&store).await.unwrap();
    let erased = u64::try_from(number).unwrap();
    assert_eq!(counts.erased, erased);
    assert_eq!(counts.wrapped, [WrappedKeys { by: "second".to_owned(), keys: 40 }]);
    assert_eq!(new.rotate().await.unwrap().keys, 0, "safe to repeat");

    // The old key is not needed any more.
    let only = keyring_with(&store, KeyEncryptionKeys::new("second", [2; 32]).unwrap()).await;
    for event in read(&only, &registrations(&store).await).await.unwrap() {
        let of = event.email.subject().to_string();
        let gone = of.strip_prefix("before:").is_some_and(|n| n.parse::<i32>().unwrap() < number);
        let expected = (!gone).then(|| format!("{of}@example.org"));
        assert_eq!(event.email.into_value(), expected);
    }
}

#[tokio::test]
async fn many_keys_are_made_at_once_and_wrapped_anew_in_batches() {
    let (_database, store) = log().await;
    let first = keyring(&store).await;
    let of = |number: i32| Personal::new(subject(&format!("customer:{number}")), number);
    let values: Vec<_> = (0..1_200).map(of).collect();
    let place = Place::other("test");
    let sealed = first.seal(&place, || serde_json::to_string(&values)).await.unwrap();
    let rotated = keyring_with(&store, both()).await.rotate().await.unwrap();
    assert_eq!((rotated.keys, rotated.left), (1_200, 0));
    let second = keyring_with(&store, KeyEncryptionKeys::new("second", [2; 32]).unwrap()).await;
    let open = || serde_json::from_str::<Vec<Personal<i32>>>(&sealed);
    assert_eq!(second.open(&place, open).await.unwrap(), values);
}

#[tokio::test]
async fn a_key_encryption_key_that_is_missing_is_named() {
    let (_database, store) = log().await;
    let first = keyring(&store).await;
    register(&store, &first, "a", "customer:1", "ada@example.org").await;
    let second = || KeyEncryptionKeys::new("second", [2; 32]).unwrap();
    let cached = NonZeroUsize::new(8).unwrap();
    let refused = Keyring::connect(&store, second(), cached).await.unwrap_err();
    assert!(matches!(&refused, KeyringError::MissingKeyEncryptionKey { id } if id == "first"));
    assert!(refused.to_string().contains("first"), "{refused}");

    // One that was there when the others had not begun to use another.
    keyring_with(&store, both()).await.rotate().await.unwrap();
    let late = Keyring::connect(&store, second(), cached).await.unwrap();
    assert_eq!(emails(&store, &late).await, [Some("ada@example.org".to_owned())]);
    assert!(Keyring::connect(&store, key_encryption_keys(), cached).await.is_err());
}

#[tokio::test]
async fn a_key_encryption_key_with_other_bytes_unwraps_nothing() {
    let (_database, store) = log().await;
    register(&store, &keyring(&store).await, "a", "customer:1", "ada@example.org").await;
    let wrong = keyring_with(&store, KeyEncryptionKeys::new("first", [9; 32]).unwrap()).await;
    let refused = because(read(&wrong, &registrations(&store).await).await.unwrap_err());
    assert!(matches!(refused, KeyringError::NotUnwrapped { .. }), "{refused}");
    // A wrapped key belongs to its subject.
    let right = keyring(&store).await;
    register(&store, &right, "b", "customer:2", "bob@example.org").await;
    sqlx::query(
        "UPDATE eventstore.subject_keys AS k SET wrapped_key = o.wrapped_key, key_id = o.key_id \
         FROM eventstore.subject_keys AS o WHERE k.subject = 'customer:1' AND o.subject = 'customer:2'",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let fresh = keyring(&store).await;
    let refused = because(read(&fresh, &registrations(&store).await).await.unwrap_err());
    assert!(matches!(refused, KeyringError::NotUnwrapped { .. }), "{refused}");
}

#[tokio::test]
async fn digests_are_the_same_for_ever_and_those_of_nobody_else() {
    let (_database, store) = log().await;
    let (_another_database, another) = log().await;
    let body = b"ada@example.org";
    let before = keyring(&store).await.digests().await.unwrap().fingerprint(body);
    let rotating = keyring_with(&store, both()).await;
    rotating.rotate().await.unwrap();
    assert_eq!(rotating.digests().await.unwrap().fingerprint(body), before);
    assert_ne!(before, Fingerprint::of(body));
    assert_ne!(keyring(&another).await.digests().await.unwrap().fingerprint(body), before);
    let claim = async |namespace: &str| {
        let of = subject("customer:1");
        rotating.digests().await.unwrap().claim(namespace, "ada@example.org", stream("a"), of)
    };
    assert_eq!(claim("email").await, claim("email").await);
    assert_ne!(claim("email").await.value, claim("login").await.value);
}
