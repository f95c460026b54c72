//! Every type of event and message that was ever written has a file here that must be read for
//! ever. A file is never edited; a new shape gets a new version and a new file.

use std::path::{Path, PathBuf};

use domain::{Event, Message, PayloadType, STATE_VERSION, State};
use serde_json::Value;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind)
}

/// Reads the golden file of each type, decodes it and encodes it again: nothing may be lost.
fn check<T>(
    kind: &str,
    types: impl Iterator<Item = PayloadType>,
    decode: impl Fn(&str, i16, &str) -> Result<T, domain::DecodeError>,
    encode: impl Fn(&T) -> String,
) {
    let mut known = Vec::new();
    for payload_type in types {
        let file = folder(kind).join(format!("{payload_type}.json"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{payload_type} needs a golden file {}: {error}", file.display())
        });
        let decoded = decode(payload_type.name, payload_type.version, &text)
            .unwrap_or_else(|error| panic!("{payload_type} cannot be read any more: {error:?}"));
        let golden: Value = serde_json::from_str(&text).unwrap();
        let written: Value = serde_json::from_str(&encode(&decoded)).unwrap();
        assert_eq!(golden, written, "{payload_type} is written differently now");
        known.push(file);
    }
    for entry in std::fs::read_dir(folder(kind)).unwrap() {
        let file = entry.unwrap().path();
        assert!(known.contains(&file), "{} has no type that reads it", file.display());
    }
}

#[test]
fn every_stored_event_can_be_read() {
    check("events", Event::types(), Event::decode, |event| event.encode().unwrap());
}

#[test]
fn every_public_message_keeps_its_shape() {
    check("messages", Message::types(), Message::decode, |message| message.encode().unwrap());
}

/// What is kept in snapshots: a state of the same version must be read as what it was.
#[test]
fn every_state_keeps_its_shape_or_has_another_version() {
    let states = folder(&format!("states.v{STATE_VERSION}"));
    for payload_type in Event::types() {
        let event = folder("events").join(format!("{payload_type}.json"));
        let event = std::fs::read_to_string(event).unwrap();
        let event = Event::decode(payload_type.name, payload_type.version, &event).unwrap();
        let state = State::initial(event.stream()).unwrap().evolve(&event);
        let file = states.join(format!("{payload_type}.json"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("the state after {payload_type} needs a golden file {}: {error}", file.display())
        });
        let golden: Value = serde_json::from_str(&text).unwrap();
        let written = serde_json::to_value(&state).unwrap();
        assert_eq!(
            golden, written,
            "after {payload_type}; if it must differ, raise `STATE_VERSION`"
        );
        assert_eq!(serde_json::from_value::<State>(golden).unwrap(), state);
    }
}

#[test]
fn names_begin_with_their_context_and_are_unique() {
    for types in [Event::types().collect::<Vec<_>>(), Message::types().collect()] {
        let mut unique = types.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), types.len());
        assert!(types.iter().all(|known| known.name.split('.').count() == 2 && known.version > 0));
    }
}

#[test]
fn what_is_unknown_is_an_error_and_not_skipped() {
    assert!(Event::decode("ordering.order-placed", 99, "{}").is_err());
    assert!(Event::decode("astrology.star-fell", 1, "{}").is_err());
    assert!(Event::decode("ordering.order-confirmed", 1, "{}").is_err());
}

/// A context whose messages are not described would be missing from the published contract.
#[test]
fn every_message_is_described() {
    let described: Vec<_> =
        Message::descriptions().iter().map(|description| description.payload_type).collect();
    assert_eq!(described, Message::types().collect::<Vec<_>>());
}
