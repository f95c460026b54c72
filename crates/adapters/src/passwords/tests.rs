//! Passwords through the port.

use application::ports::NoRandomness;

use super::*;
use crate::SystemRandomness;

const COST: HashCost = HashCost { memory_kib: 64, iterations: 2, lanes: 1 };

/// Made by the reference implementation.
const REFERENCE: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn passwords(cost: HashCost) -> Argon2Passwords {
    let threads = HashThreads { threads: NonZeroUsize::MIN, waiting: 8 };
    Argon2Passwords::new(cost, threads, Arc::new(SystemRandomness)).unwrap()
}

async fn verify(
    passwords: &Argon2Passwords,
    password: &str,
    hash: &str,
) -> Result<Verified, PasswordsError> {
    passwords.verify(password.into(), &PasswordHash::new(hash)).await
}

#[tokio::test]
async fn a_password_is_known_by_its_hash() {
    let passwords = passwords(COST);
    let hash = passwords.hash("four grey owls".into()).await.unwrap();
    assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{}", hash.expose());
    let right = verify(&passwords, "four grey owls", hash.expose()).await.unwrap();
    assert!(matches!(right, Verified::Right { rehashed: None }));
    for wrong in ["four grey owl", "Four grey owls", "", "four grey owls "] {
        let verified = verify(&passwords, wrong, hash.expose()).await.unwrap();
        assert!(matches!(verified, Verified::Wrong), "{wrong}");
    }
    let again = passwords.hash("four grey owls".into()).await.unwrap();
    assert_ne!(again.expose(), hash.expose(), "each has a salt of its own");
    assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    passwords.verify_nothing("four grey owls".into()).await.unwrap();
}

#[tokio::test]
async fn hashes_are_those_of_the_reference() {
    let passwords = passwords(HashCost { memory_kib: 256, ..COST });
    let right = verify(&passwords, "password", REFERENCE).await.unwrap();
    assert!(matches!(right, Verified::Right { rehashed: None }));
}

#[tokio::test]
async fn a_hash_that_became_weak_is_made_anew() {
    for cost in [
        HashCost { memory_kib: 257, iterations: 2, lanes: 1 },
        HashCost { memory_kib: 64, iterations: 3, lanes: 1 },
        HashCost { memory_kib: 64, iterations: 1, lanes: 2 },
    ] {
        let passwords = passwords(cost);
        let verified = verify(&passwords, "password", REFERENCE).await.unwrap();
        let Verified::Right { rehashed: Some(hash) } = verified else { panic!("{verified:?}") };
        let verified = verify(&passwords, "password", hash.expose()).await.unwrap();
        assert!(matches!(verified, Verified::Right { rehashed: None }));
        assert!(matches!(verify(&passwords, "wrong", REFERENCE).await, Ok(Verified::Wrong)));
    }
    // Also of the reference implementation, but Argon2i.
    let old = "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
    let verified = verify(&passwords(COST), "password", old).await.unwrap();
    assert!(matches!(verified, Verified::Right { rehashed: Some(_) }));
}

#[tokio::test]
async fn bcrypt_is_verified_and_replaced() {
    let passwords = passwords(COST);
    // From the tests of crypt_blowfish; the three prefixes are the same for such passwords.
    let hash = "$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    for version in ["$2a", "$2b", "$2y"] {
        let hash = format!("{version}{hash}");
        let verified = verify(&passwords, "U*U", &hash).await.unwrap();
        let Verified::Right { rehashed: Some(new) } = verified else { panic!("{verified:?}") };
        assert!(new.expose().starts_with("$argon2id$"));
        let verified = verify(&passwords, "U*U", new.expose()).await.unwrap();
        assert!(matches!(verified, Verified::Right { rehashed: None }));
        assert!(matches!(verify(&passwords, "U*V", &hash).await, Ok(Verified::Wrong)));
    }
}

#[tokio::test]
async fn the_same_characters_are_the_same_password() {
    let passwords = passwords(COST);
    let (one, two) = ("caf\u{e9} au lait", "cafe\u{301} au lait");
    let hash = passwords.hash(one.into()).await.unwrap();
    assert!(matches!(verify(&passwords, two, hash.expose()).await, Ok(Verified::Right { .. })));
    // Whichever of them the other system hashed, it can be typed as it was; and the other way round
    // if it was the normal form.
    for (hashed, typed) in [(one, one), (two, two), (one, two)] {
        let hash = bcrypt::hash_with_salt(hashed, 4, [7; 16]).unwrap().to_string();
        let verified = verify(&passwords, typed, &hash).await.unwrap();
        assert!(matches!(verified, Verified::Right { .. }), "{hashed:?} {typed:?}");
    }
}

#[tokio::test]
async fn what_is_no_hash_is_not_verified() {
    let passwords = passwords(COST);
    for text in [
        "",
        "password",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCC",
        "$scrypt$ln=16,r=8,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=99$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    ] {
        let error = verify(&passwords, "password", text).await.err();
        assert_eq!(error, Some(PasswordsError::Unreadable), "{text}");
    }
}

#[tokio::test]
async fn without_randomness_nothing_is_hashed() {
    struct None;
    impl Randomness for None {
        fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
            Err(NoRandomness)
        }
    }
    let threads = HashThreads { threads: NonZeroUsize::MIN, waiting: 0 };
    let passwords = Argon2Passwords::new(HashCost::CHEAPEST, threads, Arc::new(None)).unwrap();
    assert_eq!(passwords.hash("password".into()).await.err(), Some(PasswordsError::NoRandomness));
}

#[test]
fn costs_that_argon2_does_not_know_are_refused() {
    for cost in [
        HashCost { memory_kib: 7, ..HashCost::CHEAPEST },
        HashCost { iterations: 0, ..HashCost::CHEAPEST },
        HashCost { lanes: 0, ..HashCost::CHEAPEST },
        HashCost { memory_kib: u32::MAX, ..HashCost::CHEAPEST },
    ] {
        let threads = HashThreads { threads: NonZeroUsize::MIN, waiting: 0 };
        let passwords = Argon2Passwords::new(cost, threads, Arc::new(SystemRandomness));
        assert!(matches!(passwords, Err(PasswordsSetupError::Cost(_))), "{cost:?}");
    }
}

#[test]
fn by_default_half_the_cores_hash() {
    let HashThreads { threads, waiting } = HashThreads::default();
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    assert!(threads.get() == 1 || threads.get() * 2 <= cores);
    assert_eq!(waiting, 16 * threads.get());
    let HashCost { memory_kib, iterations, lanes } = HashCost::default();
    assert_eq!((memory_kib, iterations, lanes), (19_456, 2, 1));
}
