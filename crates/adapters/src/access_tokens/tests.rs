//! Tokens as they are, and as somebody might want them to be.

use application::ports::access_tokens::{KeyId, PublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use eventstore::Position;
use proptest::prelude::*;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

const LIFETIME: TimeDelta = TimeDelta::minutes(5);

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn jwts() -> Jwts {
    Jwts::new("https://annals.example", "annals")
}

fn key(byte: u8) -> SigningKey {
    let period = SigningPeriod {
        not_before: now() - TimeDelta::days(1),
        not_after: now() + TimeDelta::days(1),
    };
    jwts().signing_key(Seed::new(Zeroizing::new([byte; 32])), period).unwrap()
}

fn keys() -> KeySet {
    KeySet::new(Vec::new(), vec![key(1)], LIFETIME)
}

fn claims() -> Claims {
    Claims {
        user: Uuid::from_u128(1),
        session: Uuid::from_u128(2),
        id: Uuid::from_u128(3),
        issued_at: now(),
        expires_at: now() + LIFETIME,
        position: Position::new(42),
        roles: vec!["clerk".to_owned(), "auditor".to_owned()],
        organization: Some(Uuid::from_u128(4)),
    }
}

fn token() -> String {
    jwts().sign(&claims(), &key(1)).unwrap().expose_secret().to_owned()
}

fn refused(token: &str) -> AccessTokenError {
    jwts().verify(token, &keys(), now()).unwrap_err()
}

/// A token with any header and claims, whose signature is right.
fn forged(header: &Value, claims: &Value, seed: &Seed) -> String {
    let message = unsigned(header, claims);
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": key(1).id()})
}

fn wire() -> Value {
    let claims = WireClaims::of(&claims(), "https://annals.example", "annals");
    serde_json::to_value(claims).unwrap()
}

/// What comes of it if one member of the header or of the claims is another.
fn with_header(name: &str, value: Value) -> Result<Claims, AccessTokenError> {
    let mut header = header();
    header[name] = value;
    jwts().verify(&forged(&header, &wire(), key(1).seed()), &keys(), now())
}

fn with_claim(name: &str, value: Value) -> Result<Claims, AccessTokenError> {
    let mut claims = wire();
    claims[name] = value;
    jwts().verify(&forged(&header(), &claims, key(1).seed()), &keys(), now())
}

#[test]
fn says_what_it_was_told() {
    assert_eq!(jwts().verify(&token(), &keys(), now()), Ok(claims()));
    let bare = Claims { roles: Vec::new(), organization: None, ..claims() };
    let token = jwts().sign(&bare, &key(1)).unwrap();
    assert_eq!(jwts().verify(token.expose_secret(), &keys(), now()), Ok(bare));
    assert_eq!(with_claim("later", json!("more")), Ok(claims()));
}

#[test]
fn is_written_as_the_standard_wants() {
    let token = token();
    let parts: Vec<_> = token.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(read(parts[0]), header());
    let id = |number: u128| Uuid::from_u128(number).to_string();
    let expected = json!({
        "iss": "https://annals.example", "aud": "annals", "sub": id(1), "sid": id(2), "jti": id(3),
        "iat": 1_772_366_400, "exp": 1_772_366_700, "pos": 42, "roles": ["clerk", "auditor"],
        "org": id(4),
    });
    assert_eq!(read(parts[1]), expected);
}

#[test]
fn a_seed_makes_the_key_of_the_standard() {
    // RFC 8037, A.1 and A.2.
    let decode =
        |text: &str| -> [u8; 32] { URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap() };
    let seed = Seed::new(Zeroizing::new(decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")));
    let public = PublicKey::new(decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    let period = SigningPeriod { not_before: now(), not_after: now() };
    assert_eq!(jwts().signing_key(seed, period).unwrap().id(), &KeyId::of(&public));
}

#[test]
fn no_bit_can_be_another() {
    let token = token().into_bytes();
    for index in 0..token.len() * 8 {
        let mut changed = token.clone();
        changed[index / 8] ^= 1 << (index % 8);
        // What is no text never gets here.
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(jwts().verify(&changed, &keys(), now()).is_err(), "bit {index}");
        }
    }
}

#[test]
fn parts_of_two_tokens_make_none() {
    let other = jwts()
        .sign(&Claims { user: Uuid::from_u128(9), ..claims() }, &key(1))
        .unwrap()
        .expose_secret()
        .to_owned();
    let token = token();
    let (mine, theirs): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
    assert_eq!(mine[0], theirs[0], "they differ after the header");
    assert!(jwts().verify(&other, &keys(), now()).is_ok());
    let mixed = [[mine[0], theirs[1], mine[2]], [mine[0], mine[1], theirs[2]]];
    for parts in mixed {
        assert_eq!(refused(&parts.join(".")), AccessTokenError::Signature);
    }
}

#[test]
fn no_other_algorithm_is_taken() {
    let mut none = header();
    none["alg"] = json!("none");
    for signature in ["", "AAAA"] {
        let token = format!("{}.{signature}", unsigned(&none, &wire()));
        assert_eq!(refused(&token), AccessTokenError::Malformed);
    }
    // The public key as the secret of an HMAC: the classic.
    let mut hs256 = header();
    hs256["alg"] = json!("HS256");
    let message = unsigned(&hs256, &wire());
    let secrets = [
        key(1).verification().public().as_bytes().to_vec(),
        URL_SAFE_NO_PAD.encode(key(1).verification().public().as_bytes()).into_bytes(),
    ];
    for secret in secrets {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(refused(&token), AccessTokenError::Algorithm);
    }
    for name in ["HS512", "ES256", "RS256", "PS512"] {
        assert_eq!(with_header("alg", json!(name)), Err(AccessTokenError::Algorithm));
    }
    assert_eq!(with_header("alg", json!("eddsa")), Err(AccessTokenError::Malformed));
    let twice =
        format!(r#"{{"typ":"at+jwt","alg":"EdDSA","alg":"EdDSA","kid":"{}"}}"#, key(1).id());
    let rest = token().split_once('.').unwrap().1.to_owned();
    let twice = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(twice));
    assert_eq!(refused(&twice), AccessTokenError::Malformed);
}

#[test]
fn the_header_must_be_that_of_an_access_token() {
    assert_eq!(with_header("typ", json!("JWT")), Err(AccessTokenError::Type));
    assert_eq!(with_header("typ", Value::Null), Err(AccessTokenError::Type));
    assert_eq!(with_header("kid", Value::Null), Err(AccessTokenError::NoKey));
    assert_eq!(with_header("kid", json!("another")), Err(AccessTokenError::UnknownKey));
    assert_eq!(with_header("kid", json!(key(2).id())), Err(AccessTokenError::UnknownKey));
    assert_eq!(with_header("crit", json!(["b64"])), Err(AccessTokenError::CriticalHeader));
    assert_eq!(with_header("crit", json!([])), Err(AccessTokenError::CriticalHeader));
    // What need not be understood is not, and no key is taken from the token.
    assert_eq!(with_header("jku", json!("https://elsewhere.example/keys")), Ok(claims()));
}

#[test]
fn another_key_cannot_sign_under_the_name_of_one() {
    let token = forged(&header(), &wire(), key(2).seed());
    assert_eq!(refused(&token), AccessTokenError::Signature);
}

#[test]
fn issuer_and_audience_are_exactly_those() {
    for issuer in [json!("https://annals.example/"), json!("https://ANNALS.example"), json!("")] {
        assert_eq!(with_claim("iss", issuer), Err(AccessTokenError::Issuer));
    }
    assert_eq!(with_claim("aud", json!("annals2")), Err(AccessTokenError::Audience));
    assert_eq!(with_claim("aud", json!(["annals"])), Err(AccessTokenError::Malformed));
    assert_eq!(
        with_claim("iss", json!(["https://annals.example"])),
        Err(AccessTokenError::Malformed)
    );
    for name in ["iss", "aud", "sub", "sid", "iat", "exp", "jti", "pos", "roles"] {
        assert_eq!(with_claim(name, Value::Null), Err(AccessTokenError::Malformed), "{name}");
    }
}

#[test]
fn is_valid_from_its_issue_until_its_end_but_for_some_seconds() {
    let token = token();
    let at = |offset| jwts().verify(&token, &keys(), now() + TimeDelta::seconds(offset));
    assert_eq!(at(-6), Err(AccessTokenError::NotYet));
    assert_eq!(at(-5), Ok(claims()));
    assert_eq!(at(304), Ok(claims()));
    assert_eq!(at(305), Err(AccessTokenError::Expired));
    let now = now().timestamp();
    assert_eq!(with_claim("nbf", json!(now + 6)), Err(AccessTokenError::NotYet));
    assert_eq!(with_claim("nbf", json!(now + 5)), Ok(claims()));
    assert_eq!(with_claim("exp", json!(now + 301)), Err(AccessTokenError::Period));
    for name in ["exp", "iat", "nbf"] {
        for moment in [json!(i64::MAX), json!(i64::MIN), json!(1.5), json!("1"), json!(u64::MAX)] {
            assert_eq!(with_claim(name, moment), Err(AccessTokenError::Malformed));
        }
    }
}

#[test]
fn a_key_that_retired_vouches_for_nothing() {
    let token = token();
    // The claims say that it is valid for ever; the key says that it is not.
    let end = now() + TimeDelta::days(1);
    let mut late = wire();
    late["iat"] = json!((end + TimeDelta::minutes(1)).timestamp());
    late["exp"] = json!((end + TimeDelta::minutes(6)).timestamp());
    let late = forged(&header(), &late, key(1).seed());
    let at = |moment| jwts().verify(&late, &keys(), moment);
    assert_eq!(at(end + TimeDelta::minutes(2)), Err(AccessTokenError::Period));
    assert_eq!(at(end + TimeDelta::minutes(6)), Err(AccessTokenError::UnknownKey));
    let without = KeySet::new(Vec::new(), vec![key(2)], LIFETIME);
    assert_eq!(jwts().verify(&token, &without, now()), Err(AccessTokenError::UnknownKey));
    let verifying = KeySet::new(vec![key(1).verification().clone()], Vec::new(), LIFETIME);
    assert_eq!(jwts().verify(&token, &verifying, now()), Ok(claims()));
}

#[test]
fn what_is_too_long_is_neither_signed_nor_read() {
    let claims = Claims { roles: vec!["r".repeat(100); 40], ..claims() };
    let error = jwts().sign(&claims, &key(1)).unwrap_err();
    assert!(matches!(error, SignError::TooLong { .. }), "{error}");
    assert_eq!(refused(&"a".repeat(MAX_TOKEN_BYTES + 1)), AccessTokenError::TooLong);
}

#[test]
fn what_is_no_token_is_refused() {
    let token = token();
    let texts = ["", ".", "..", "...", "a.b.c", "e30.e30.", &token[1..], &token[..token.len() - 1]];
    for text in texts {
        assert_eq!(refused(text), AccessTokenError::Malformed, "{text}");
    }
    for text in
        [format!("{token}="), format!(" {token}"), format!("{token}."), format!("a.{token}")]
    {
        assert_eq!(refused(&text), AccessTokenError::Malformed, "{text}");
    }
}

proptest! {
    #[test]
    fn any_change_of_a_part_is_refused(
        at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=-]{0,8}", cut in 0..8_usize,
    ) {
        let token = token();
        let start = at.index(token.len());
        let end = (start + cut).min(token.len());
        let changed = format!("{}{with}{}", &token[..start], &token[end..]);
        prop_assume!(changed != token);
        prop_assert!(jwts().verify(&changed, &keys(), now()).is_err());
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        prop_assert!(jwts().verify(&text, &keys(), now()).is_err());
    }

    #[test]
    fn any_claims_come_back(
        ids in any::<[u128; 3]>(), organization in any::<Option<u128>>(),
        position in 0..i64::MAX, roles in prop::collection::vec("[a-z-]{1,20}", 0..8),
    ) {
        let claims = Claims {
            user: Uuid::from_u128(ids[0]),
            session: Uuid::from_u128(ids[1]),
            id: Uuid::from_u128(ids[2]),
            position: Position::new(position),
            organization: organization.map(Uuid::from_u128),
            roles,
            ..claims()
        };
        let token = jwts().sign(&claims, &key(1)).unwrap();
        prop_assert_eq!(jwts().verify(token.expose_secret(), &keys(), now()), Ok(claims));
    }
}
