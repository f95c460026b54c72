//! Keys over time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeZone as _;
use zeroize::Zeroizing;

use super::*;
use crate::ports::access_tokens::{KeyId, PublicKey, Rotation, Seed, SigningPeriod};

const LIFETIME: TimeDelta = TimeDelta::minutes(5);
const ROTATION: Rotation = Rotation { period: TimeDelta::days(30), announced: TimeDelta::days(2) };

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap()
}

fn key(byte: u8, period: SigningPeriod) -> SigningKey {
    SigningKey::new(Seed::new(Zeroizing::new([byte; 32])), PublicKey::new([byte; 32]), period)
}

/// The keys that are made when somebody looks every `step` until `end`.
fn rotated(step: TimeDelta, end: DateTime<Utc>) -> KeySet {
    let mut keys = Vec::new();
    let mut now = start();
    while now < end {
        let set = KeySet::new(Vec::new(), keys.clone(), LIFETIME);
        if let Some(period) = ROTATION.due(&set, now) {
            keys.push(key(u8::try_from(keys.len()).unwrap(), period));
        }
        now += step;
    }
    KeySet::new(Vec::new(), keys, LIFETIME)
}

#[test]
fn a_key_is_named_by_its_thumbprint() {
    // RFC 8037, A.3.
    let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let id = KeyId::of(&PublicKey::new(x.try_into().unwrap()));
    assert_eq!(id.as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_is_published_before_it_signs_and_until_its_last_token_is_over() {
    let all = rotated(TimeDelta::hours(6), start() + TimeDelta::days(100));
    assert_eq!(all.keys().len(), 4);
    // Whoever looks at `now` sees the keys that were made by then.
    for (index, key) in all.keys().iter().enumerate() {
        let SigningPeriod { not_before, not_after } = key.period();
        let before = rotated(TimeDelta::hours(6), not_before - TimeDelta::days(1));
        assert_eq!(before.verification_key(key.id().as_str(), not_before).is_some(), index > 0);
        let signs = |now| all.signing_key(now).map(|key| key.id().clone());
        assert_eq!(signs(not_before).as_ref(), Some(key.id()));
        assert_eq!(signs(not_after - TimeDelta::seconds(1)).as_ref(), Some(key.id()));
        assert_ne!(signs(not_after).as_ref(), Some(key.id()));
        let over = not_after + LIFETIME + LEEWAY;
        let last = over - TimeDelta::seconds(1);
        assert!(all.verification_key(key.id().as_str(), last).is_some());
        assert!(all.verification_key(key.id().as_str(), over).is_none());
        assert_eq!(all.jwks(over).keys.iter().filter(|jwk| jwk.kid == *key.id()).count(), 0);
    }
}

#[test]
fn at_each_moment_one_key_signs() {
    let keys = rotated(TimeDelta::hours(6), start() + TimeDelta::days(100));
    let mut now = start();
    while now < start() + TimeDelta::days(100) {
        assert!(keys.signing_key(now).is_some(), "{now}");
        now += TimeDelta::hours(5);
    }
}

#[test]
fn where_nobody_rotated_a_new_key_signs_at_once() {
    let late = start() + TimeDelta::days(90);
    let old = key(1, SigningPeriod { not_before: start(), not_after: start() + ROTATION.period });
    let keys = KeySet::new(Vec::new(), vec![old], LIFETIME);
    assert!(keys.signing_key(late).is_none());
    let period = ROTATION.due(&keys, late).unwrap();
    assert_eq!(period.not_before, late);
    assert!(ROTATION.due(&keys, start() + TimeDelta::days(27)).is_none());
}

#[test]
fn published_keys_have_the_members_of_the_standard() {
    let period = SigningPeriod { not_before: start(), not_after: start() + ROTATION.period };
    let keys = KeySet::new(Vec::new(), vec![key(7, period)], LIFETIME);
    let jwks = serde_json::to_value(keys.jwks(start())).unwrap();
    let x = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let kid = keys.keys()[0].id().as_str();
    let expected = serde_json::json!({
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x}
        ]
    });
    assert_eq!(jwks, expected);
}

#[test]
fn nothing_shows_a_seed() {
    let period = SigningPeriod { not_before: start(), not_after: start() + ROTATION.period };
    assert!(format!("{:?}", key(3, period)).contains("Seed(..)"));
}
