//! Events of old shapes are read as events of today's, or the log is refused at boot.

use eventstore::evolution::{CheckError, Evolution, Unreadable};
use eventstore::{EventStore, EventType, NewEvent};
use serde_json::{Value, json};

use crate::support::{all, append, exactly, log, stream, to};

fn of(name: &str, version: i16) -> EventType {
    EventType::new(name, version)
}

/// v1 -> v2 -> v3 of a name; one that became two; one that means nothing any more.
fn evolution() -> Evolution {
    Evolution::to([of("test.named", 3), of("test.street", 1), of("test.town", 1)])
        .upcast(of("test.named", 1), 2, |payload| Ok(json!({ "full": payload["name"] })))
        .upcast(of("test.named", 2), 3, |payload| {
            let full = payload["full"].as_str().ok_or("no name")?;
            let (first, last) = full.split_once(' ').ok_or("one word")?;
            Ok(json!({ "first": first, "last": last }))
        })
        .split(of("test.moved", 1), [of("test.street", 1), of("test.town", 1)], |payload| {
            let part = |name: &str| json!({ "to": payload[name] });
            Ok(vec![(of("test.street", 1), part("street")), (of("test.town", 1), part("town"))])
        })
        .drop(of("test.clicked", 1))
}

async fn record(store: &EventStore, version: i64, event_type: EventType, payload: &str) {
    let mut command = to("a", exactly(version), 0);
    command.events.push(NewEvent::new(stream("a"), event_type, payload));
    append(store, command).await.unwrap();
}

#[tokio::test]
async fn old_shapes_are_read_along_their_chain_and_stay_recorded_as_they_were() {
    let (_database, store) = log().await;
    record(&store, 0, of("test.named", 1), r#"{"name": "Ada Byron"}"#).await;
    record(&store, 1, of("test.moved", 1), r#"{"street": "S", "town": "T"}"#).await;
    record(&store, 2, of("test.clicked", 1), "{}").await;
    record(&store, 3, of("test.named", 3), r#"{"first":  "A", "last": "B"}"#).await;
    record(&store, 4, of("test.named", 2), r#"{"full": "oneword"}"#).await;
    let events = all(&store).await;
    let evolution = evolution();
    let read = |number: usize| {
        let shapes = evolution.read(&events[number]).unwrap().into_iter();
        let shapes =
            shapes.map(|(event_type, payload)| (event_type.to_string(), payload.into_owned()));
        shapes.collect::<Vec<_>>()
    };
    let shape = |name: &str, payload: &Value| (name.to_owned(), payload.to_string());
    assert_eq!(read(0), [shape("test.named.v3", &json!({"first": "Ada", "last": "Byron"}))]);
    assert_eq!(
        read(1),
        [shape("test.street.v1", &json!({"to": "S"})), shape("test.town.v1", &json!({"to": "T"}))]
    );
    assert_eq!(read(2), []);
    // Today's shape is not even parsed.
    assert_eq!(read(3)[0].1, r#"{"first":  "A", "last": "B"}"#);
    let misshapen = evolution.read(&events[4]).unwrap_err();
    assert_eq!((misshapen.position.get(), misshapen.event_type), (5, of("test.named", 2)));
    assert_eq!(events[0].payload, r#"{"name": "Ada Byron"}"#);
    evolution.check_log(&store).await.unwrap();
}

#[tokio::test]
async fn a_log_with_a_shape_that_no_way_leads_from_is_refused() {
    let (_database, store) = log().await;
    let evolution = evolution();
    evolution.check_log(&store).await.unwrap();
    record(&store, 0, of("test.named", 1), "{}").await;
    // A shape that only a refused append brought is not in the log.
    let mut refused = to("a", exactly(9), 0);
    refused.events.push(NewEvent::new(stream("a"), of("test.refused", 1), "{}"));
    append(&store, refused).await.unwrap_err();
    evolution.check_log(&store).await.unwrap();
    record(&store, 1, of("test.named", 4), "{}").await;
    record(&store, 2, of("test.unheard-of", 1), "{}").await;
    let Err(CheckError::Unreadable(Unreadable { types })) = evolution.check_log(&store).await
    else {
        panic!("it is refused")
    };
    assert_eq!(types, [of("test.named", 4), of("test.unheard-of", 1)]);
}

#[test]
fn a_chain_that_ends_nowhere_or_runs_in_a_circle_is_found_without_a_log() {
    evolution().check().unwrap();
    let pass = |payload: Value| Ok(payload);
    let broken = Evolution::to([of("x", 3)]).upcast(of("x", 1), 2, pass);
    assert_eq!(broken.check().unwrap_err().types, [of("x", 1)]);
    let circle =
        Evolution::to([of("x", 3)]).upcast(of("x", 1), 2, pass).upcast(of("x", 2), 1, pass);
    assert_eq!(circle.check().unwrap_err().types, [of("x", 1), of("x", 2)]);
    let half =
        Evolution::to([of("x", 2)]).split(of("x", 1), [of("x", 2), of("y", 1)], |_| Ok(vec![]));
    assert_eq!(half.check().unwrap_err().types, [of("x", 1)]);
    assert!(evolution().check_types([of("test.named", 2), of("test.moved", 1)]).is_ok());
}
