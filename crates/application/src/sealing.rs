//! Personal data of the domain, sealed where it is kept.
//!
//! The domain's [`Personal`](domain::values::Personal) is plain: `{"subject": "user:…", "value": …}`.
//! Nothing is kept so: whatever is written passes [`seal`], which makes each of them a
//! [`Personal`] of the event store, and whatever is read passes [`open`], or [`close`] where there
//! are no keys and none are to be: there each of them has no value.

use std::borrow::Cow;

use eventstore::{Personal, Subject};
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// What the JSON of anything personal holds: everything else is left as it is, byte for byte.
const MARK: &str = concat!("\"subject\":\"", "user:");

/// Seals what is personal in `json`; possible inside of [`Keyring::seal`](eventstore::Keyring::seal)
/// only.
///
/// # Errors
/// What the event store says.
pub(crate) fn seal(json: String) -> Result<String, serde_json::Error> {
    if !json.contains(MARK) {
        return Ok(json);
    }
    let mut value = serde_json::from_str(&json)?;
    seal_value(&mut value)?;
    serde_json::to_string(&value)
}

/// [`seal`] of JSON that is no text yet.
pub(crate) fn seal_value(value: &mut Value) -> Result<(), serde_json::Error> {
    each(value, &mut |fields| {
        let subject = subject(fields)?;
        let personal = match fields.remove("value") {
            Some(value) => Personal::new(subject, value),
            None => Personal::erased(subject),
        };
        serde_json::to_value(personal)
    })
}

/// Opens what is personal in `json`; possible inside of [`Keyring::open`](eventstore::Keyring::open)
/// only.
///
/// # Errors
/// What the event store says.
pub(crate) fn open(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    read(json, |fields| {
        let kept = Value::Object(fields.clone());
        let personal = Personal::<Value>::deserialize(&kept)?;
        let subject = personal.subject().to_string().into();
        let value = personal.into_value().map(|value| ("value".to_owned(), value));
        let fields = [("subject".to_owned(), subject)].into_iter().chain(value);
        Ok(Value::Object(fields.collect()))
    })
}

/// Reads what is personal in `json` as if nobody could know it.
///
/// # Errors
/// It is no JSON.
pub(crate) fn close(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    read(json, |fields| {
        fields.retain(|name, _| name == "subject");
        Ok(Value::Object(std::mem::take(fields)))
    })
}

fn read(
    json: &str,
    mut of: impl FnMut(&mut Map<String, Value>) -> Result<Value, serde_json::Error>,
) -> Result<Cow<'_, str>, serde_json::Error> {
    if !json.contains(MARK) {
        return Ok(Cow::Borrowed(json));
    }
    let mut value = serde_json::from_str(json)?;
    each(&mut value, &mut of)?;
    serde_json::to_string(&value).map(Cow::Owned)
}

/// Replaces each object that has a subject by what `of` makes of it.
fn each(
    value: &mut Value,
    of: &mut impl FnMut(&mut Map<String, Value>) -> Result<Value, serde_json::Error>,
) -> Result<(), serde_json::Error> {
    match value {
        Value::Object(fields) if subject(fields).is_ok() => *value = of(fields)?,
        Value::Object(fields) => fields.values_mut().try_for_each(|value| each(value, of))?,
        Value::Array(items) => items.iter_mut().try_for_each(|value| each(value, of))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// Of whom something personal says something.
fn subject(fields: &Map<String, Value>) -> Result<Subject, serde_json::Error> {
    let subject = fields.get("subject").and_then(Value::as_str);
    let subject = subject.filter(|subject| subject.starts_with("user:"));
    let subject = subject.and_then(|subject| Subject::new(subject).ok());
    subject.ok_or_else(|| serde::de::Error::custom("it has no subject"))
}
