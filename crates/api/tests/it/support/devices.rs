//! Devices that show codes of second factors.

use application::ports::Clock as _;
use application::second_factor::TotpSecret;
use chrono::TimeDelta;
use serde_json::json;

use super::{Answer, As, Person, TestApp};

/// A device that was told a secret.
pub(crate) struct Device {
    secret: TotpSecret,
    /// What was told, to be typed.
    pub(crate) typed: String,
    /// The same, as apps read it.
    pub(crate) url: String,
}

impl Device {
    /// Tells a device of the person who is `me`; nothing is confirmed yet.
    pub(crate) async fn told(me: &As, person: &Person) -> Self {
        let begun = me.post("/v1/me/second-factor", json!({"password": person.password})).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let typed = begun.body["secret"].as_str().unwrap().to_owned();
        let url = begun.body["url"].as_str().unwrap().to_owned();
        assert!(url.contains(&typed) && url.starts_with("otpauth://totp/Test:"), "{url}");
        Self { secret: TotpSecret::new(bytes(&typed).into()), typed, url }
    }

    /// [`Device::told`], and confirmed: with the codes for when it is lost.
    pub(crate) async fn enrolled(app: &TestApp, me: &As, person: &Person) -> (Self, Vec<String>) {
        let device = Self::told(me, person).await;
        let confirmed = device.confirm(me, &device.shows(app)).await;
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        (device, codes(&confirmed))
    }

    pub(crate) async fn confirm(&self, me: &As, code: &str) -> Answer {
        me.post("/v1/me/second-factor/confirmation", json!({"code": code})).await
    }

    /// What it shows now.
    pub(crate) fn shows(&self, app: &TestApp) -> String {
        self.secret.code(app.clock().now())
    }

    /// What it shows once half a minute has passed, in which no code was used yet.
    pub(crate) fn shows_next(&self, app: &TestApp) -> String {
        app.clock().pass(TimeDelta::seconds(30));
        self.shows(app)
    }

    /// What it does not show at any moment that counts.
    pub(crate) fn never_shows(&self, app: &TestApp) -> String {
        let now = app.clock().now();
        let near: Vec<_> =
            (-3..=3).map(|steps| self.secret.code(now + TimeDelta::seconds(30 * steps))).collect();
        let mut wrong = (0..10).map(|digit| digit.to_string().repeat(6));
        wrong.find(|code| !near.contains(code)).unwrap()
    }

    /// The bytes of the secret.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.secret.expose()
    }
}

/// The codes for when a device is lost.
pub(crate) fn codes(answer: &Answer) -> Vec<String> {
    let codes = answer.body["recovery_codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// What base32 (RFC 4648) writes as `typed`.
fn bytes(typed: &str) -> [u8; 20] {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'2'..=b'7' => letter - b'2' + 26,
        _ => panic!("no letter of base32"),
    };
    let bits = |digit: u8| (0..5).rev().map(move |bit| digit >> bit & 1);
    let bits: Vec<u8> = typed.bytes().map(digit).flat_map(bits).collect();
    let bytes = bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit));
    bytes.collect::<Vec<u8>>().try_into().unwrap()
}
