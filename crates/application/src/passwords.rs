//! What a new password must be.
//!
//! Long rather than colourful: 12 to 128 characters of whatever kind. Not what others guess first: the
//! address it is for, what is common, or what is known to be lost. Nothing is asked of
//! passwords that there are already; who knows his may log in with it.
//!
//! Common is what is made of little: one piece again and again, rows of the keyboard, runs of the
//! alphabet, digits only, or [words that everybody takes](common) with a number and a sign behind them.
//! This catches what a service meets most, without a download; lists of lost passwords are better and
//! come in by [`BreachedPasswords`].

mod common;

use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::ports::passwords::BreachedPasswords;

/// The least characters of a password.
pub const LEAST_CHARACTERS: usize = 12;

/// The most characters of a password.
pub const MOST_CHARACTERS: usize = 128;

/// The part of an address before the `@` is looked for in passwords if it has as many characters: of
/// fewer, most passwords hold them by chance.
const TELLING_CHARACTERS: usize = 4;

/// Why a text cannot become a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PasswordFault {
    /// It has too few characters.
    #[error("a password has at least {LEAST_CHARACTERS} characters")]
    TooShort,
    /// It has too many characters.
    #[error("a password has at most {MOST_CHARACTERS} characters")]
    TooLong,
    /// The e-mail address is in it, or the part before the `@`.
    #[error("a password does not hold one's e-mail address")]
    HoldsAddress,
    /// It is made of what everybody takes.
    #[error("a password is more than common words, runs and digits")]
    Common,
    /// It is in a list of lost passwords.
    #[error("the password is in a list of passwords that were lost elsewhere")]
    Breached,
}

/// The form in which the same password is the same bytes: Unicode NFC. Keyboards and systems differ in
/// how they write `é`, the person at them does not know.
#[must_use]
pub fn normalised(password: &SecretString) -> SecretString {
    let text = password.expose_secret();
    // Large enough from the start (NFC grows by 3 at most): growing would leave characters behind.
    let mut normalised = Zeroizing::new(String::with_capacity(3 * text.len()));
    normalised.extend(text.nfc());
    normalised.as_str().into()
}

/// Everything that keeps `password` from being one for the account of `address`, in the order of
/// [`PasswordFault`]. Looks into `breached` only if there is nothing else: that may read files, so this
/// is not for the threads that serve.
///
/// # Errors
/// At least one fault.
pub fn check(
    password: &SecretString,
    address: &str,
    breached: &dyn BreachedPasswords,
) -> Result<(), Vec<PasswordFault>> {
    let normalised = normalised(password);
    let text = normalised.expose_secret();
    let characters = text.chars().count();
    let mut faults = Vec::new();
    if characters < LEAST_CHARACTERS {
        faults.push(PasswordFault::TooShort);
    }
    if characters > MOST_CHARACTERS {
        faults.push(PasswordFault::TooLong);
        return Err(faults);
    }
    let lower = Zeroizing::new(text.to_lowercase());
    if holds_address(&lower, &address.to_lowercase()) {
        faults.push(PasswordFault::HoldsAddress);
    }
    if common::is_common(&lower) {
        faults.push(PasswordFault::Common);
    }
    if faults.is_empty() && breached.contains(text) {
        faults.push(PasswordFault::Breached);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn holds_address(password: &str, address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let tells = local.chars().count() >= TELLING_CHARACTERS;
    password == local || password == address || (tells && password.contains(local))
}

#[cfg(test)]
mod tests;
