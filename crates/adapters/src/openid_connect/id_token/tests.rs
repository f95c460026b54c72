use chrono::TimeDelta;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.example";
const CLIENT: &str = "annals";
const NONCE: &str = "n-0S6_WzA2Mj";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer with a key of two kinds.
struct Issuer {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_323_045, 0).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "7", "aud": CLIENT, "nonce": NONCE,
        "iat": now().timestamp(), "exp": now().timestamp() + 300,
        "email": "ada@example.org", "email_verified": true, "name": "Ada",
    })
}

/// `changes` to what an honest issuer says; null takes a claim away.
fn but(changes: Value) -> Value {
    let mut claims = claims();
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(&name)),
            value => claims[name] = value,
        }
    }
    claims
}

impl Issuer {
    fn new() -> Self {
        let seed: [u8; 32] = [7; 32];
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            ed: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
        }
    }

    fn jwks(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(self.ed.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
             "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kty": "oct", "k": encoded("hush"), "kid": "mac"},
            {"kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc",
             "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            "no key at all",
        ]})
    }

    fn keys(&self) -> Keys {
        Keys::read(self.jwks().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = match header["alg"].as_str().unwrap() {
            "ES256" => {
                let signature = self.ec.sign(&SystemRandom::new(), signed.as_bytes());
                encoded(signature.unwrap())
            }
            "none" => String::new(),
            _ => encoded(self.ed.sign(signed.as_bytes())),
        };
        format!("{signed}.{signature}")
    }

    fn verify(&self, token: &str) -> Result<Claims, Distrust> {
        let nonce = SecretString::from(NONCE);
        let expected = Expected { issuer: ISSUER, client: CLIENT, nonce: &nonce, now: now() };
        verify(token, &self.keys(), &expected)
    }

    fn refusal(&self, header: &Value, claims: &Value) -> Option<Distrust> {
        self.verify(&self.sign(header, claims)).err()
    }
}

#[test]
fn an_honest_token_is_read() {
    let issuer = Issuer::new();
    for header in [
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "ES256", "kid": "ec", "typ": "JWT"}),
    ] {
        for claims in [
            claims(),
            but(json!({"aud": [CLIENT]})),
            but(json!({"aud": [CLIENT, "other"], "azp": CLIENT})),
            but(json!({"email_verified": "true"})),
            but(json!({"iat": now().timestamp() + 59, "exp": now().timestamp() - 59})),
        ] {
            let read = issuer.verify(&issuer.sign(&header, &claims));
            let read = read.unwrap_or_else(|error| panic!("{header} {claims}: {error}"));
            assert_eq!(read.subject, "7");
            assert_eq!(read.profile.email.as_deref(), Some("ada@example.org"));
            assert!(read.profile.vouches());
            assert_eq!(read.profile.name().as_deref(), Some("Ada"));
        }
    }
    for vouches in [json!(false), json!("false"), json!("TRUE"), json!(null)] {
        let claims = but(json!({"email_verified": vouches}));
        let token = issuer.sign(&json!({"alg": "EdDSA"}), &claims);
        assert!(!issuer.verify(&token).ok().unwrap().profile.vouches(), "{claims}");
    }
}

#[test]
fn what_is_said_to_others_or_at_another_time_is_refused() {
    let issuer = Issuer::new();
    let later = |by: TimeDelta| (now() + by).timestamp();
    let minute = TimeDelta::minutes(1);
    for (changes, why) in [
        (json!({"iss": "https://id.example/"}), Distrust::Issuer),
        (json!({"aud": "other"}), Distrust::Audience),
        (json!({"aud": []}), Distrust::Audience),
        (json!({"aud": [CLIENT, "other"]}), Distrust::Audience),
        (json!({"aud": [CLIENT, "other"], "azp": "other"}), Distrust::Audience),
        (json!({"azp": "other"}), Distrust::Audience),
        (json!({"exp": later(-minute)}), Distrust::Expired),
        (json!({"exp": null}), Distrust::Malformed),
        (json!({"iat": later(minute) + 1}), Distrust::NotYet),
        (json!({"iat": null}), Distrust::Malformed),
        (json!({"nonce": "other"}), Distrust::Nonce),
        (json!({"nonce": null}), Distrust::Nonce),
        (json!({"sub": ""}), Distrust::Subject),
        (json!({"sub": null}), Distrust::Malformed),
        (json!({"email_verified": 1}), Distrust::Malformed),
    ] {
        let refused = issuer.refusal(&json!({"alg": "EdDSA", "kid": "ed"}), &but(changes.clone()));
        assert_eq!(refused, Some(why), "{changes}");
    }
}

#[test]
fn what_is_signed_otherwise_is_refused() {
    let issuer = Issuer::new();
    for (header, why) in [
        (json!({"alg": "none"}), Distrust::Algorithm),
        (json!({"alg": "None"}), Distrust::Algorithm),
        (json!({"alg": "HS256", "kid": "mac"}), Distrust::Algorithm),
        // The key is of another algorithm than the header says.
        (json!({"alg": "ES256", "kid": "ed"}), Distrust::UnknownKey),
        (json!({"alg": "RS256", "kid": "ed"}), Distrust::UnknownKey),
        (json!({"alg": "EdDSA", "kid": "other"}), Distrust::UnknownKey),
        (json!({"alg": "ES256", "kid": "enc"}), Distrust::UnknownKey),
        (json!({"alg": "EdDSA", "kid": "ed", "crit": ["b64"]}), Distrust::Malformed),
    ] {
        assert_eq!(issuer.refusal(&header, &claims()), Some(why), "{header}");
    }
    let token = issuer.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = encoded(but(json!({"sub": "8"})).to_string());
    for (forged, why) in [
        (format!("{header}.{other}.{signature}"), Distrust::Signature),
        (format!("{signed}."), Distrust::Signature),
        (signed.to_owned(), Distrust::Malformed),
        (format!("{token}.{signature}"), Distrust::Malformed),
        (format!("{token}="), Distrust::Malformed),
        (String::new(), Distrust::Malformed),
        (format!("{token}{}", "A".repeat(MAX_BYTES)), Distrust::Malformed),
    ] {
        assert_eq!(issuer.verify(&forged).err(), Some(why), "{forged:.40}");
    }
    let stranger =
        Issuer { ed: Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap(), ..Issuer::new() };
    for algorithm in ["EdDSA", "ES256"] {
        let token = stranger.sign(&json!({"alg": algorithm}), &claims());
        assert_eq!(issuer.verify(&token).err(), Some(Distrust::Signature), "{algorithm}");
    }
}
