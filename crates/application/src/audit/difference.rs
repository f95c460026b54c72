//! What changed between two moments, and which events did it.

use eventstore::{EventStore, StreamId};
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::state::{Fold, Reached, StateAt, reached, up_to};
use super::{AsOf, AuditError, EventRecord};

/// What changed in an aggregate between two moments.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Difference {
    /// Its stream.
    #[schemars(with = "String")]
    pub stream: StreamId,
    /// What it was at the first moment.
    pub from: StateAt,
    /// What it was at the second.
    pub to: StateAt,
    /// What differs, field by field.
    pub changes: Vec<Change>,
    /// The events that explain it, the oldest first.
    pub events: Vec<EventRecord>,
    /// How many more there are, which were too many to tell here.
    pub events_left_out: usize,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// JSON pointer (RFC 6901) into the states; empty for all of it.
    pub pointer: String,
    /// What it was; absent if the field was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it has become; absent if the field is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What changed in the aggregate of `stream` between two moments, with at most `most` events.
///
/// # Errors
/// [`AuditError`].
pub async fn difference(
    store: &EventStore,
    stream: &StreamId,
    (from, to): (AsOf, AsOf),
    most: usize,
) -> Result<Difference, AuditError> {
    let mut fold = Fold::of(stream)?;
    let first = reached(store, stream, Some(from)).await?;
    let second = reached(store, stream, Some(to)).await?;
    if first.version > second.version {
        return Err(AuditError::Reversed { from, to });
    }
    let state_at = |reached: Reached, state| StateAt { reached, state };
    let mut before = fold.to_json()?;
    let (mut told, mut events_left_out) = (Vec::new(), 0);
    let mut events = store.read_stream(stream, up_to(second.version));
    while let Some(event) = events.try_next().await? {
        fold.apply(&event)?;
        if event.version == first.version {
            before = fold.to_json()?;
        } else if event.version > first.version {
            if told.len() < most {
                told.push(event.try_into()?);
            } else {
                events_left_out += 1;
            }
        }
    }
    let after = fold.to_json()?;
    let mut changes = Vec::new();
    compare(&mut changes, String::new(), Some(&before), Some(&after));
    Ok(Difference {
        stream: stream.clone(),
        from: state_at(first, before),
        to: state_at(second, after),
        changes,
        events: told,
        events_left_out,
    })
}

/// Adds what differs, in the order of the fields: as deep as both sides have the same kind of value.
fn compare(changes: &mut Vec<Change>, pointer: String, from: Option<&Value>, to: Option<&Value>) {
    match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let names: std::collections::BTreeSet<_> = from.keys().chain(to.keys()).collect();
            for name in names {
                let step = name.replace('~', "~0").replace('/', "~1");
                compare(changes, format!("{pointer}/{step}"), from.get(name), to.get(name));
            }
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            for index in 0..from.len().max(to.len()) {
                compare(changes, format!("{pointer}/{index}"), from.get(index), to.get(index));
            }
        }
        (from, to) if from != to => {
            changes.push(Change { pointer, from: from.cloned(), to: to.cloned() });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(from: &Value, to: &Value) -> Value {
        let mut changes = Vec::new();
        compare(&mut changes, String::new(), Some(from), Some(to));
        serde_json::to_value(changes).unwrap()
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        let from = json!({ "same": [1, { "a": 1 }], "gone": null, "a/b~c": 1, "list": [1, 2, 3] });
        let to =
            json!({ "same": [1, { "a": 1 }], "new": null, "a/b~c": 2, "list": [1, { "x": 2 }] });
        let expected = json!([
            { "pointer": "/a~1b~0c", "from": 1, "to": 2 },
            { "pointer": "/gone", "from": null },
            { "pointer": "/list/1", "from": 2, "to": { "x": 2 } },
            { "pointer": "/list/2", "from": 3 },
            { "pointer": "/new", "to": null },
        ]);
        assert_eq!(changes(&from, &to), expected);
        let all = json!([{ "pointer": "", "from": null, "to": from }]);
        assert_eq!(changes(&Value::Null, &from), all);
        assert_eq!(changes(&to, &to), json!([]));
    }
}
