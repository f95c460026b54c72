//! JSON bodies: refused with a pointer to what is wrong.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};

use crate::problem::{Code, Problem};

/// Most characters of the client's own text that an answer repeats.
const MOST_REPEATED: usize = 200;

/// A JSON object, read as a `T`.
pub(crate) struct Body<T>(pub(crate) T);

/// A `T` that is written as a JSON object. What serde derives for a struct also reads an array of
/// the fields in their order; a client that sends one has made a mistake.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declares_json(request.headers()) {
            let detail = "Expected `application/json`.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(Code::BodyTooLarge, "The body exceeds the limit of this service.")
            } else {
                Problem::new(Code::MalformedJson, "The body could not be read to its end.")
            }
        })?;
        read(&bytes).map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

fn declares_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() { misfit(pointer, &error) } else { malformed(&error) }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedJson, format!("The JSON is broken: {error}."))
}

fn misfit(mut pointer: String, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // The place in the text: the pointer says it better.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let member = |start| text.strip_prefix(start)?.strip_suffix('`');
    let detail = if let Some(member) = member("missing field `") {
        push(&mut pointer, member);
        "is missing".to_owned()
    } else if let Some(member) = member("duplicate field `") {
        push(&mut pointer, member);
        "is given more than once".to_owned()
    } else {
        shortened(&in_words_of_json(text))
    };
    let problem = "The body does not have the form this operation takes.";
    Problem::new(Code::InvalidBody, problem).field(pointer, detail)
}

/// What serde says of Rust's types, said of JSON's.
fn in_words_of_json(text: &str) -> String {
    let Some((found, expected)) =
        text.rsplit_once(", expected ").filter(|(found, _)| found.starts_with("invalid "))
    else {
        return text.to_owned();
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
    format!("{found}, expected {expected}")
}

/// The path as a JSON pointer (RFC 6901); the whole document is the empty pointer.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } => push(&mut pointer, &shortened(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
