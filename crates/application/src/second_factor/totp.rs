//! Codes of the moment (RFC 6238): SHA-1, six digits, 30 seconds, which is what every app can do.
//!
//! A code is taken during its step, one before and one after, because clocks differ and people are slow.
//! Each step is taken once, and none before it after that: who looks over a shoulder is too late. A code
//! is one of a million and three are right, so whoever calls this must count the attempts.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use totp_rs::{Builder, Totp, TotpError};
use zeroize::Zeroizing;

use crate::ports::{NoRandomness, Randomness};

const STEP_SECONDS: u64 = 30;

/// What the service and the device share: 160 random bits.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; 20]>);

/// A step of 30 seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TotpStep(u64);

impl TotpStep {
    /// Takes `number` as a step that was kept.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TotpSecret {
    /// A new one.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn random(randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 20]);
        randomness.fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// One that was kept.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 20]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8; 20] {
        &self.0
    }

    /// The step of which `code` is, if it may be used `now`: keep it as the last one that was used.
    ///
    /// Two requests with the same code may come at once: whoever keeps the step must do so only if the
    /// one that was kept is still `last_used`.
    #[must_use]
    pub fn accept(
        &self,
        code: &str,
        now: DateTime<Utc>,
        last_used: Option<TotpStep>,
    ) -> Option<TotpStep> {
        let step = u64::try_from(now.timestamp()).ok()? / STEP_SECONDS;
        // Of one step each; the crate compares in constant time.
        let totp = self.builder().with_skew(0).build_noncompliant();
        (step.saturating_sub(1)..=step + 1)
            .filter(|step| last_used.is_none_or(|last| *step > last.0))
            .find(|step| totp.check(code, step * STEP_SECONDS).is_some())
            .map(TotpStep)
    }

    /// The code at `moment`: what the device shows.
    #[must_use]
    pub fn code(&self, moment: DateTime<Utc>) -> String {
        let seconds = u64::try_from(moment.timestamp()).unwrap_or(0);
        self.builder().build_noncompliant().generate(seconds).to_string()
    }

    /// What is typed where no camera is: 32 letters and digits.
    #[must_use]
    pub fn base32(&self) -> SecretString {
        self.builder().build_noncompliant().secret().to_base32().into()
    }

    /// What apps read as a QR code.
    ///
    /// # Errors
    /// The format has no place for such an issuer or account.
    pub fn url(&self, issuer: &str, account: &str) -> Result<SecretString, InvalidLabel> {
        let totp: Result<Totp, TotpError> =
            self.builder().with_issuer(Some(issuer)).with_account_name(account).build();
        totp.and_then(|totp| totp.to_url()).map(Into::into).map_err(|_| InvalidLabel)
    }

    fn builder(&self) -> Builder {
        Builder::new().with_secret(self.0.to_vec())
    }
}

/// Shows nothing.
impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// An issuer or an account cannot be told to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer or account of a second factor is not empty and holds no colon")]
pub struct InvalidLabel;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::new(Zeroizing::new(*b"12345678901234567890"))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1: the last six of eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().code(at(seconds)), code);
            let step = TotpStep::new(u64::try_from(seconds).unwrap() / 30);
            assert_eq!(secret().accept(code, at(seconds), None), Some(step));
        }
    }

    #[test]
    fn is_taken_in_its_step_and_in_those_beside_it() {
        let code = secret().code(at(3_000));
        for (seconds, taken) in [(2_969, false), (2_970, true), (3_059, true), (3_060, false)] {
            let step = secret().accept(&code, at(seconds), None);
            assert_eq!(step, taken.then_some(TotpStep::new(100)), "{seconds}");
        }
    }

    #[test]
    fn is_taken_once() {
        let step = secret().accept(&secret().code(at(3_000)), at(3_000), None).unwrap();
        for offset in [-30, 0] {
            let moment = at(3_000) + TimeDelta::seconds(offset);
            let code = secret().code(moment);
            assert_eq!(secret().accept(&code, at(3_000), Some(step)), None, "{offset}");
        }
        let next = secret().code(at(3_030));
        assert_eq!(secret().accept(&next, at(3_000), Some(step)), Some(TotpStep::new(101)));
    }

    #[test]
    fn what_is_no_code_is_not_taken() {
        for code in
            ["", "28708", "2870820", "94287082", "+87082", "２８７０８２", " 87082", "28708a"]
        {
            assert_eq!(secret().accept(code, at(59), None), None, "{code}");
        }
        assert_eq!(secret().accept("287082", at(-1), None), None);
        assert!(secret().accept(&secret().code(at(0)), at(0), None).is_some());
    }

    #[test]
    fn apps_are_told_the_secret() {
        let base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(secret().base32().expose_secret(), base32);
        let url = secret().url("Annals & Co", "grace@navy.example").unwrap();
        assert_eq!(
            url.expose_secret(),
            "otpauth://totp/Annals%20%26%20Co:grace%40navy.example\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Annals%20%26%20Co"
        );
        assert_eq!(secret().url("a:b", "grace").unwrap_err(), InvalidLabel);
        assert_eq!(secret().url("Annals", "").unwrap_err(), InvalidLabel);
        assert_eq!(format!("{:?}", secret()), "TotpSecret(..)");
    }

    proptest! {
        #[test]
        fn no_step_is_taken_twice(
            bytes in any::<[u8; 20]>(), start in 0..4_000_000_000_i64,
            moves in prop::collection::vec((0..45_i64, -1..=1_i64), 1..40),
        ) {
            let secret = TotpSecret::new(Zeroizing::new(bytes));
            let (mut now, mut last) = (start, None);
            for (pause, skew) in moves {
                now += pause;
                let code = secret.code(at((now + 30 * skew).max(0)));
                if let Some(step) = secret.accept(&code, at(now), last) {
                    prop_assert!(last.is_none_or(|last| step > last));
                    let current = u64::try_from(now).unwrap() / 30;
                    prop_assert!(step.get().abs_diff(current) <= 1);
                    last = Some(step);
                }
            }
        }

        #[test]
        fn any_text_is_answered(code in "\\PC{0,12}", seconds in any::<i32>()) {
            let _ = secret().accept(&code, at(seconds.into()), None);
        }
    }
}
