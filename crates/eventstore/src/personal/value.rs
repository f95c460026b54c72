//! A value that is personal.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cipher::{self, associated};
use super::erasures::Erasures;
use super::scope::{self, Found, Mode};
use super::{KeyringError, Place, Subject};

/// A value that says something of a [`Subject`], and can be erased.
///
/// It is written only inside of [`Keyring::seal`](crate::Keyring::seal) and read only inside of
/// [`Keyring::open`](crate::Keyring::open); elsewhere serde gets an error. `Debug` does not show
/// it. Once its subject is erased it reads as erased, also where it was opened before.
///
/// Stored it is `{"subject":"…","key":"…","sealed":"…"}`: the subject, which of its keys, and
/// base64 of nonce, ciphertext and tag; erased it may be `{"subject":"…","erased":true}`. How long
/// the value is can be seen.
///
/// ```
/// use eventstore::{Personal, Subject};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct CustomerRegistered {
///     plan: String,
///     email: Personal<String>,
/// }
///
/// let subject = Subject::new("customer:7").expect("a short name");
/// let email = Personal::new(subject, "ada@example.org".to_owned());
/// let event = CustomerRegistered { plan: "basic".to_owned(), email };
/// assert!(serde_json::to_string(&event).is_err(), "not outside of `Keyring::seal`");
/// assert_eq!(format!("{:?}", event.email), "Personal(customer:7, ***)");
/// ```
#[derive(Clone)]
pub struct Personal<T> {
    subject: Subject,
    value: Option<T>,
    /// Where it came from, if it was opened.
    watched: Option<Watched>,
}

#[derive(Clone)]
struct Watched {
    erasures: Arc<Erasures>,
    /// How many there were when it was opened.
    count: u64,
}

impl<T> Personal<T> {
    /// `value`, which says something of `subject`.
    #[must_use]
    pub const fn new(subject: Subject, value: T) -> Self {
        Self { subject, value: Some(value), watched: None }
    }

    /// What was known of `subject` and is erased.
    #[must_use]
    pub const fn erased(subject: Subject) -> Self {
        Self { subject, value: None, watched: None }
    }

    /// Of whom it says something.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The value; nothing if it is erased, as far as this process knows: see
    /// [`Keyring::holds`](crate::Keyring::holds) for values that are kept.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        let erased = self
            .watched
            .as_ref()
            .is_some_and(|watched| watched.erasures.contains_since(watched.count, &self.subject));
        self.value.as_ref().filter(|_| !erased)
    }

    /// The value, taken out; nothing if it is erased.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        if self.is_erased() { None } else { self.value }
    }

    /// Whether it is erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.value().is_none()
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.is_erased() { "erased" } else { "***" };
        write!(f, "Personal({}, {shown})", self.subject)
    }
}

impl<T: PartialEq> PartialEq for Personal<T> {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject && self.value() == other.value()
    }
}

impl<T: Eq> Eq for Personal<T> {}

/// How it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Uuid>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subject = Cow::Borrowed(self.subject.as_str());
        let erased = Stored { subject, key: None, sealed: None, erased: true };
        let Some(found) = scope::find(Mode::Seal, &self.subject) else {
            return Err(S::Error::custom(
                "personal data is written inside of `Keyring::seal` only",
            ));
        };
        let Some(value) = self.value() else { return erased.serialize(serializer) };
        let (key, place) = match found {
            Found::Key(key, place) => (key, place),
            Found::NotYet => return serializer.serialize_unit(),
            // What was there before goes on as what it is now; what is new is refused.
            Found::Erased if self.watched.is_some() => return erased.serialize(serializer),
            Found::Erased => {
                return failed(KeyringError::Erased { subject: self.subject.clone() });
            }
        };
        // How a value fails to be written may show it.
        let plain = serde_json::to_vec(value).map(Zeroizing::new);
        let Ok(plain) = plain else {
            return failed(KeyringError::Shape { subject: self.subject.clone() });
        };
        match cipher::seal(&key.bytes, &bound(&self.subject, key.id, &place), &plain) {
            Ok(sealed) => {
                let sealed = Some(STANDARD_NO_PAD.encode(sealed).into());
                Stored { key: Some(key.id), sealed, erased: false, ..erased }.serialize(serializer)
            }
            Err(error) => failed(error),
        }
    }
}

/// Notes `error` as it is, for the keyring, and tells serde its text.
fn failed<R, E: serde::ser::Error>(error: KeyringError) -> Result<R, E> {
    let told = E::custom(&error);
    scope::fail(error);
    Err(told)
}

fn unreadable<R, E: serde::de::Error>(error: KeyringError) -> Result<R, E> {
    let told = E::custom(&error);
    scope::fail(error);
    Err(told)
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What else stands there may be personal as well, so it is not shown.
        let Ok(stored) = Stored::deserialize(deserializer) else {
            return Err(D::Error::custom("this is no sealed personal data"));
        };
        let subject = Subject::new(stored.subject.as_ref()).map_err(D::Error::custom)?;
        let Some(found) = scope::find(Mode::Open, &subject) else {
            return Err(D::Error::custom("personal data is read inside of `Keyring::open` only"));
        };
        if stored.erased {
            return Ok(Self::erased(subject));
        }
        let (key, place) = match found {
            Found::Key(key, place) => (key, place),
            Found::Erased | Found::NotYet => return Ok(Self::erased(subject)),
        };
        if stored.key != Some(key.id) {
            return unreadable(KeyringError::OtherKey { subject });
        }
        let sealed = stored.sealed.and_then(|sealed| STANDARD_NO_PAD.decode(&*sealed).ok());
        let bound = bound(&subject, key.id, &place);
        let Some(plain) = sealed.and_then(|sealed| cipher::open(&key.bytes, &bound, sealed)) else {
            return unreadable(KeyringError::Altered { subject });
        };
        let Ok(value) = serde_json::from_slice(&plain) else {
            return unreadable(KeyringError::Shape { subject });
        };
        let watched = scope::watched().map(|(erasures, count)| Watched { erasures, count });
        Ok(Self { subject, value: Some(value), watched })
    }
}

fn bound(subject: &Subject, key: Uuid, place: &Place) -> Vec<u8> {
    associated(&[
        b"annals personal value 1",
        subject.as_str().as_bytes(),
        key.as_bytes(),
        place.kind().as_bytes(),
        place.name().as_bytes(),
    ])
}
