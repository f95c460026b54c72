//! Reads an object field by field, so that an answer names everything that is wrong with it.
//!
//! What serde derives stops at the first mistake, and also takes an array of the fields in their
//! order. Here each field is cut out of the text first ([`Members`]) and read by itself, as
//! whatever type it is of: the types' own rules stay the only ones.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::problem::{Code, FieldError, Problem};

/// Most characters of the client's own text that an answer repeats.
const MOST_REPEATED: usize = 200;

/// Most mistakes that one answer names.
const MOST_ERRORS: usize = 50;

/// What is written as a JSON object.
pub(crate) trait Shape: Sized + Send {
    /// Takes its fields; nothing if one of them is wrong, which `fields` remembers.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The fields of one object.
pub(crate) struct Fields<'a> {
    /// Of the object.
    pointer: String,
    given: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The names that were asked for.
    known: Vec<&'static str>,
    errors: &'a mut Vec<FieldError>,
}

/// Reads `bytes` as a `T`.
pub(super) fn read<T: Shape>(bytes: &[u8]) -> Result<T, Problem> {
    let mut errors = Vec::new();
    let value = match serde_json::from_slice::<Members<'_>>(bytes) {
        Ok(Members(given)) => object(String::new(), given, &mut errors),
        Err(error) if error.is_data() => {
            errors.push(FieldError { pointer: String::new(), detail: in_words_of_json(&error) });
            None
        }
        Err(error) => {
            let detail = format!("The JSON is broken: {error}.");
            return Err(Problem::new(Code::MalformedJson, detail));
        }
    };
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(errors.into_iter().fold(
            Problem::new(
                Code::InvalidBody,
                "The body does not have the form this operation takes.",
            ),
            |problem, FieldError { pointer, detail }| problem.field(pointer, detail),
        )),
    }
}

fn object<'a, T: Shape>(
    pointer: String,
    given: Vec<(Cow<'a, str>, &'a RawValue)>,
    errors: &'a mut Vec<FieldError>,
) -> Option<T> {
    let mut fields = Fields { pointer, given, known: Vec::new(), errors };
    let value = T::read(&mut fields);
    fields.refuse_others();
    value
}

impl<'a> Fields<'a> {
    /// The field `name`, which must be there.
    pub(crate) fn value<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let (pointer, raw) = self.take(name)?;
        let read = match whole_number(raw.get()) {
            Some(number) => serde_json::from_str(&number.to_string()),
            None => serde_json::from_str(raw.get()),
        };
        match read {
            Ok(value) => Some(value),
            Err(error) => self.refuse_at(pointer, in_words_of_json(&error)),
        }
    }

    /// The field `name`, which may be absent or null.
    #[expect(clippy::option_option, reason = "what is absent is no mistake, as what is wrong is")]
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Option<Option<T>> {
        if self.given.iter().any(|(given, _)| given == name) {
            return self.value(name);
        }
        self.known.push(name);
        Some(None)
    }

    /// The field `name`, which must be there and an object.
    pub(crate) fn object<T: Shape>(&mut self, name: &'static str) -> Option<T> {
        let (pointer, raw) = self.take(name)?;
        self.read_object(pointer, raw)
    }

    /// The field `name`, which must be there and an array of objects, made into what they are
    /// together.
    pub(crate) fn objects<T: Shape, C: TryFrom<Vec<T>, Error: fmt::Display>>(
        &mut self,
        name: &'static str,
    ) -> Option<C> {
        let (pointer, raw) = self.take(name)?;
        let elements: Vec<&RawValue> = match serde_json::from_str(raw.get()) {
            Ok(elements) => elements,
            Err(error) => return self.refuse_at(pointer, in_words_of_json(&error)),
        };
        let mut objects = Vec::with_capacity(elements.len().min(1_024));
        let count = elements.len();
        for (index, element) in elements.into_iter().enumerate() {
            if self.errors.len() >= MOST_ERRORS {
                return None;
            }
            objects.extend(self.read_object(format!("{pointer}/{index}"), element));
        }
        if objects.len() < count {
            return None;
        }
        match objects.try_into() {
            Ok(together) => Some(together),
            Err(error) => self.refuse_at(pointer, error.to_string()),
        }
    }

    fn read_object<T: Shape>(&mut self, pointer: String, raw: &RawValue) -> Option<T> {
        match serde_json::from_str::<Members<'_>>(raw.get()) {
            Ok(Members(given)) => {
                let mut errors = Vec::new();
                let value = object(pointer, given, &mut errors);
                let room = MOST_ERRORS.saturating_sub(self.errors.len());
                self.errors.extend(errors.into_iter().take(room));
                value
            }
            Err(error) => self.refuse_at(pointer, in_words_of_json(&error)),
        }
    }

    /// Remembers what is wrong with the field `name`, which could be read.
    pub(crate) fn refuse<T>(&mut self, name: &str, detail: String) -> Option<T> {
        self.refuse_at(self.pointer_to(name), detail)
    }

    fn take(&mut self, name: &'static str) -> Option<(String, &'a RawValue)> {
        self.known.push(name);
        let pointer = self.pointer_to(name);
        let Some(at) = self.given.iter().position(|(given, _)| given == name) else {
            return self.refuse_at(pointer, "is missing".to_owned());
        };
        let (_, raw) = self.given.remove(at);
        let others = self.given.len();
        self.given.retain(|(given, _)| given != name);
        if self.given.len() < others {
            return self.refuse_at(pointer, "is given more than once".to_owned());
        }
        Some((pointer, raw))
    }

    /// Refuses whatever nobody has taken.
    fn refuse_others(&mut self) {
        let detail = format!("is not known here: there are `{}`", self.known.join("`, `"));
        for (name, _) in std::mem::take(&mut self.given) {
            let pointer = self.pointer_to(&shortened(&name));
            self.refuse_at::<()>(pointer, detail.clone());
        }
    }

    fn refuse_at<T>(&mut self, pointer: String, detail: String) -> Option<T> {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(FieldError { pointer, detail });
        }
        None
    }

    /// A JSON pointer (RFC 6901); the whole document is the empty pointer.
    fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }
}

/// The whole number that `text` is, if it is one in another form: to JSON Schema `2.0` and `2e0` are
/// the integer 2.
fn whole_number(text: &str) -> Option<i64> {
    /// Up to here floats tell all whole numbers apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let has_fraction = text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let number = text.parse::<f64>().ok().filter(|_| has_fraction && !text.starts_with('"'))?;
    let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
    is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

/// The members of an object, each as its text.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Visit).map(Self)
    }
}

/// The name of a member, borrowed from the text unless it holds escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What serde says of Rust's types, said of JSON's.
fn in_words_of_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The place in the text: the pointer says it better.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let Some((found, expected)) =
        text.rsplit_once(", expected ").filter(|(found, _)| found.starts_with("invalid "))
    else {
        return shortened(text);
    };
    let found = match found {
        "invalid type: sequence" => "invalid type: array",
        "invalid type: map" => "invalid type: object",
        found => found,
    };
    let expected = match expected {
        "i64" if found.starts_with("invalid value: integer") => "a smaller integer",
        "i64" => "an integer",
        "a sequence" => "an array",
        expected => expected,
    };
    shortened(&format!("{found}, expected {expected}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_any_form() {
        for (text, number) in [("2.0", 2), ("-2.000", -2), ("2e3", 2_000), ("25e-1", 0), ("1.5", 0)]
        {
            let expected = (number != 0).then_some(number);
            assert_eq!(whole_number(text), expected, "{text}");
        }
        for other in ["2", "\"2.0\"", "1e999", "9007199254740993.0", "[2.0]", "true", "NaN"] {
            assert_eq!(whole_number(other), None, "{other}");
        }
    }
}
