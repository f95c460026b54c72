//! Messages that are no events commit with those of their append, and are told behind them.

use eventstore::{
    Append, AppendError, EventStore, NewMessage, Outbound, OutboxPlace, PageLimit, Position,
};

use crate::support::{append, exactly, id, log, stream, to};

const ALL: PageLimit = PageLimit { events: 100, bytes: usize::MAX };

fn message(body: &str) -> NewMessage {
    let subject = "test.asked.v1".to_owned();
    NewMessage { id: id(), stream: stream("asked-1"), subject, body: body.to_owned() }
}

fn with(name: &str, events: usize, bodies: &[&str]) -> Append {
    let messages = bodies.iter().map(|body| message(body)).collect();
    Append { messages, ..to(name, exactly(0), events) }
}

/// Everything after `place`, read with `limit`: where it stands, and the body if it is a message.
async fn told(
    store: &EventStore,
    place: OutboxPlace,
    limit: PageLimit,
) -> Vec<(i64, u16, Option<String>)> {
    let (mut told, mut place) = (Vec::new(), place);
    loop {
        let page = store.read_outbound(place, limit).await.unwrap();
        if page.reached == place {
            return told;
        }
        assert!(page.reached > place && page.reached.is_complete());
        place = page.reached;
        told.extend(page.items.into_iter().map(|item| {
            let at = item.place();
            let body = match item {
                Outbound::Event { .. } => None,
                Outbound::Message(message) => Some(message.body),
            };
            (at.position().get(), at.ordinal(), body)
        }));
    }
}

#[tokio::test]
async fn they_are_told_behind_the_last_event_of_their_append() {
    let (_database, store) = log().await;
    append(&store, with("a", 2, &[r#"{"b": 1, "a":2}"#, "[ ]"])).await.unwrap();
    let mut private = with("b", 2, &["3"]);
    private.events.iter_mut().for_each(|event| event.subject = None);
    append(&store, private.clone()).await.unwrap();
    append(&store, to("c", exactly(0), 1)).await.unwrap();
    let body = |text: &str| Some(text.to_owned());
    let expected = [
        (1, 0, None),
        (2, 0, None),
        (2, 1, body(r#"{"b": 1, "a":2}"#)),
        (2, 2, body("[ ]")),
        (4, 1, body("3")),
        (5, 0, None),
    ];
    let start = OutboxPlace::after(Position::START);
    assert_eq!(told(&store, start, ALL).await, expected);
    for limit in [PageLimit { events: 1, ..ALL }, PageLimit { bytes: 1, ..ALL }] {
        assert_eq!(told(&store, start, limit).await, expected);
    }
    // From anywhere, in the middle of a position too.
    for (index, (position, ordinal, _)) in expected.iter().enumerate() {
        let place = OutboxPlace::within(Position::new(*position), *ordinal);
        assert_eq!(told(&store, place, ALL).await, expected[index + 1..]);
    }
    let after = OutboxPlace::within(Position::new(4), 0);
    let page = store.read_outbound(after, ALL).await.unwrap();
    let [Outbound::Message(told)] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!(told.id, private.messages[0].id);
    assert_eq!((told.stream.as_str(), told.subject.as_str()), ("asked-1", "test.asked.v1"));
    assert_eq!(told.command_id, private.command_id);
    assert_eq!(told.metadata.correlation_id, private.metadata.correlation_id);

    // The same command again tells nothing anew, and neither does one that is refused.
    assert!(append(&store, private).await.unwrap().repeated);
    append(&store, with("a", 1, &["4"])).await.unwrap_err();
    assert_eq!(told_count(&store).await, 6);
}

async fn told_count(store: &EventStore) -> usize {
    told(store, OutboxPlace::after(Position::START), ALL).await.len()
}

/// Many share a call: what is refused takes its messages with it, and the others keep theirs.
#[tokio::test]
async fn each_append_of_a_batch_keeps_its_own() {
    let (_database, store) = log().await;
    append(&store, to("taken", exactly(0), 1)).await.unwrap();
    let appends = (0..60).map(|number| {
        let name = if number % 3 == 0 { "taken".to_owned() } else { format!("free-{number}") };
        let body = format!("\"{name}\"");
        let store = store.clone();
        async move { store.append(with(&name, 1 + number % 2, &[&body])).await.is_ok() }
    });
    let done = futures_util::future::join_all(appends).await;
    assert_eq!(done.iter().filter(|done| **done).count(), 40);
    let mut events = crate::support::all(&store).await.into_iter();
    let mut last = None;
    for (position, ordinal, body) in told(&store, OutboxPlace::after(Position::START), ALL).await {
        let Some(body) = body else {
            last = events.find(|event| event.position.get() == position);
            continue;
        };
        let event = last.as_ref().unwrap();
        assert_eq!((position, ordinal), (event.position.get(), 1));
        assert_eq!(body, format!("\"{}\"", event.stream));
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    let (_database, store) = log().await;
    let alone = append(&store, with("a", 0, &["1"])).await.unwrap_err();
    assert!(matches!(alone, AppendError::MessagesWithoutEvent), "{alone}");
    let many = append(&store, with("a", 1, &["1"; 101])).await.unwrap_err();
    assert!(matches!(many, AppendError::TooManyMessages { messages: 101 }), "{many}");
    let large = format!("\"{}\"", "x".repeat(300_000));
    let large = append(&store, with("a", 1, &[&large, &large])).await.unwrap_err();
    assert!(matches!(large, AppendError::MessagesTooLarge { body_bytes: 600_004 }), "{large}");
    let no_json = append(&store, with("a", 1, &["{"])).await.unwrap_err();
    assert!(matches!(no_json, AppendError::Refused { .. }), "{no_json}");
    assert_eq!(told_count(&store).await, 0);
}
