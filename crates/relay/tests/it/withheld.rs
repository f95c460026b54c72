//! What the publisher cannot send is held with what follows of its stream, other streams flow, and
//! it is sent later: in order, once (laws 5 and 8).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use eventstore::RecordedEvent;
use relay::cloud_event::HEADERS;
use relay::dead_letters::{self, State};
use relay::{PublisherConfig, RelayState, Render, RenderError, Rendered};
use testkit::eventually;

use crate::consumers::QUICK;
use crate::world::{LIMIT, Running, SUBJECT, World, header, render};

const A: &str = "testing.thing-a";
const B: &str = "testing.thing-b";
const C: &str = "testing.thing-c";

/// The contract is repaired while the publisher runs.
#[derive(Clone, Default)]
struct Mends(Arc<AtomicBool>);

impl Mends {
    fn mend(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Rendering = Result<Option<Rendered>, RenderError>;

struct Mendable {
    mends: Mends,
    broken: fn(&RecordedEvent) -> Rendering,
}

impl Render for Mendable {
    fn render(&self, event: &RecordedEvent) -> Rendering {
        if self.mends.0.load(Ordering::SeqCst) { render(event) } else { (self.broken)(event) }
    }
}

fn is(event: &RecordedEvent, stream: &str, version: i64) -> bool {
    event.stream.as_str() == stream && event.version.get() == version
}

/// The third event of A cannot be made.
fn third_of_a(event: &RecordedEvent) -> Rendering {
    if is(event, A, 3) { Ok(None) } else { render(event) }
}

#[expect(clippy::unnecessary_wraps, reason = "it is a Render")]
fn large(_: &RecordedEvent) -> Rendering {
    Ok(Some(Rendered { subject: SUBJECT.to_owned(), body: format!("{:?}", "x".repeat(2_000_000)) }))
}

impl World {
    fn quick(&self) -> PublisherConfig {
        PublisherConfig { retries: QUICK, ..self.publisher_config() }
    }

    fn breaks(&self, broken: fn(&RecordedEvent) -> Rendering) -> (Mends, Running<RelayState>) {
        let mends = Mends::default();
        let contract = Mendable { mends: mends.clone(), broken };
        (mends, self.publisher_with(self.quick(), contract))
    }

    async fn retry_all(&self) {
        dead_letters::retry_all(&self.pool(), None, "somebody").await.unwrap();
    }

    /// What the stream holds, whatever was deleted of it.
    async fn stored(&self) -> Vec<StreamMessage> {
        let stream = self.stream().await;
        let mut stored = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            stored.extend(stream.get_raw_message(sequence).await.ok());
        }
        stored
    }

    /// Waits until everything public but for `missing` is in the stream; each once, those of each
    /// stream in order.
    async fn told_but(&self, missing: usize) -> Vec<StreamMessage> {
        let expected = self.public().await.len() - missing;
        let stored = eventually(LIMIT, "everything to be in the stream", || async {
            let last = self.stream().await.cached_info().state.messages;
            if last >= u64::try_from(expected).unwrap() {
                Ok(())
            } else {
                Err((last, expected, self.letters().await.len()))
            }
        });
        stored.await;
        let stored = self.stored().await;
        assert_in_order(&stored);
        assert_eq!(stored.len(), expected, "each once");
        stored
    }

    async fn stream_now(&self) -> Vec<StreamMessage> {
        self.told_but(0).await
    }
}

/// Within each stream versions rise, so nothing is there twice either.
fn assert_in_order(messages: &[StreamMessage]) {
    let mut last = BTreeMap::<&str, i64>::new();
    for message in messages {
        let version = header(message, "ce-sequence").parse().unwrap();
        let before = last.insert(header(message, "ce-subject"), version);
        assert!(before.unwrap_or_default() < version, "{before:?} before {version}: {message:?}");
    }
}

fn late(messages: &[StreamMessage]) -> Vec<(&str, &str)> {
    let late = messages.iter().filter(|message| message.headers.get("ce-late").is_some());
    late.map(|message| (header(message, "ce-subject"), header(message, "ce-sequence"))).collect()
}

#[tokio::test]
async fn other_streams_flow_and_the_same_waits_in_order_until_it_is_redriven() {
    let world = World::new().await;
    let (mends, publisher) = world.breaks(third_of_a);
    world.append_to(&[A, B], 6).await;
    let letters = world.holds(1, 3).await;
    let first = &letters[0];
    assert_eq!(first.consumer, format!("relay:{}", world.namespace.stream_name()));
    assert_eq!((first.key.as_str(), first.attempts, first.state), (A, 5, State::Dead));
    let error = first.error.as_deref().unwrap();
    assert!(
        error.ends_with("at position 5 is in the outbox, but the contract has no message for it"),
        "{error}"
    );
    assert!(letters.iter().all(|letter| letter.key == A));
    let flowed = world.told_but(4).await;
    assert_eq!(late(&flowed), []);
    assert_eq!(relay::oldest_unpublished(&world.store, &world.namespace).await.unwrap(), None);

    mends.mend();
    world.append_to(&[A], 1).await;
    world.holds(1, 4).await;
    world.retry_all().await;
    let told = world.stream_now().await;
    let expected: Vec<_> = ["3", "4", "5", "6", "7"].map(|version| (A, version)).into();
    assert_eq!(late(&told), expected);
    assert!(told.iter().flat_map(|message| message.headers.iter()).all(|(name, _)| {
        let name = name.to_string();
        name.starts_with("Nats-Expected-")
            || name == "Annals-After"
            || HEADERS.iter().any(|header| header.name == name)
    }));
    eventually(LIMIT, "nothing to be held", || async {
        let held = dead_letters::count(&world.pool()).await.unwrap();
        if held.is_empty() && world.letters().await.is_empty() { Ok(()) } else { Err(held) }
    })
    .await;
    world.append_to(&[A, B], 2).await;
    assert_eq!(late(&world.stream_now().await), expected, "what comes now is in its place");
    publisher.stop().await;
}

#[tokio::test]
async fn an_event_that_the_contract_gives_another_subject_is_held() {
    let world = World::new().await;
    let (mends, publisher) = world.breaks(|event| {
        if is(event, A, 2) {
            let subject = "testing.other.v2".to_owned();
            return Ok(Some(Rendered { subject, body: "{}".to_owned() }));
        }
        if is(event, B, 1) { Err(RenderError::new("no such type")) } else { render(event) }
    });
    world.append_to(&[A, B], 2).await;
    let errors: Vec<_> =
        world.holds(2, 1).await.into_iter().filter_map(|letter| letter.error).collect();
    assert!(errors[0].contains("render the public message: no such type"), "{errors:?}");
    assert!(
        errors[1].ends_with(
            "at position 3 is in the outbox as \"testing.it-happened.v1\", \
             but the contract makes \"testing.other.v2\" of it"
        ),
        "{errors:?}"
    );
    mends.mend();
    world.retry_all().await;
    world.stream_now().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_broker_is_held() {
    let world = World::new().await;
    let (mends, publisher) =
        world.breaks(|event| if is(event, A, 2) { large(event) } else { render(event) });
    world.append_to(&[A, B], 4).await;
    let letters = world.holds(1, 2).await;
    let error = letters[0].error.as_deref().unwrap();
    assert!(error.starts_with("publish position 3: max payload size exceeded"), "{error}");
    world.told_but(3).await;
    mends.mend();
    world.retry_all().await;
    world.stream_now().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_stream_is_held() {
    let world = World::new().await;
    let mut first = world.publisher();
    first.publishes().await;
    first.stop().await;
    let context = world.context().await;
    let mut config = world.stream().await.cached_info().config.clone();
    config.max_message_size = 4_000;
    context.update_stream(&config).await.unwrap();
    let (_, publisher) = world.breaks(|event| {
        let Some(rendered) = render(event)? else { return Ok(None) };
        let size = if is(event, A, 2) { 10_000 } else { 1 };
        Ok(Some(Rendered { body: format!("{:?}", "x".repeat(size)), ..rendered }))
    });
    world.append_to(&[A, B], 4).await;
    let letters = world.holds(1, 2).await;
    assert!(letters[0].error.as_deref().unwrap().contains("10054"), "{letters:?}");
    world.told_but(3).await;
    config.max_message_size = -1;
    context.update_stream(&config).await.unwrap();
    world.retry_all().await;
    world.stream_now().await;
    publisher.stop().await;
}

#[tokio::test]
async fn what_is_discarded_lets_those_behind_it_go_and_never_comes_back() {
    let world = World::new().await;
    let (mends, publisher) = world.breaks(third_of_a);
    world.append_to(&[A, B], 5).await;
    let letters = world.holds(1, 2).await;
    dead_letters::discard(&world.pool(), letters[0].id, "a test", "somebody").await.unwrap();
    let told = world.told_but(1).await;
    assert_eq!(late(&told), [(A, "4"), (A, "5")]);
    let again = dead_letters::retry(&world.pool(), letters[0].id, "somebody").await;
    assert!(again.is_err(), "{again:?}");
    publisher.stop().await;

    mends.mend();
    let context = world.context().await;
    context.delete_stream(world.namespace.stream_name()).await.unwrap();
    let publisher = world.publisher();
    let told = eventually(LIMIT, "a new stream", || async {
        let stream = world.context().await.get_stream(world.namespace.stream_name()).await;
        let messages = stream.map_err(|error| error.to_string())?.cached_info().state.messages;
        if messages == 9 { Ok(()) } else { Err(messages.to_string()) }
    });
    told.await;
    let told = world.told_but(1).await;
    assert_eq!(late(&told), [], "each in its place");
    assert!(!told.iter().any(|message| header(message, "ce-position") == "5"));
    publisher.stop().await;
}

/// However much of its end the stream loses after something was sent late, and wherever the cursor
/// is.
#[tokio::test]
async fn a_stream_that_lost_its_end_after_a_redrive_is_filled_again() {
    let world = World::new().await;
    let (mends, publisher) = world.breaks(third_of_a);
    world.append_to(&[A, B], 4).await;
    world.holds(1, 1).await;
    mends.mend();
    world.retry_all().await;
    world.stream_now().await;
    world.append_to(&[A, B], 1).await;
    let kept = world.stream_now().await;
    publisher.stop().await;

    let context = world.context().await;
    let config = world.stream().await.cached_info().config.clone();
    for left in (0..kept.len()).rev() {
        context.delete_stream(&config.name).await.unwrap();
        context.create_stream(&config).await.unwrap();
        for message in &kept[..left] {
            let again = PublishMessage::build()
                .payload(message.payload.clone())
                .headers(without_conditions(message));
            context.send_publish(message.subject.clone(), again).await.unwrap().await.unwrap();
        }
        let publisher = world.publisher();
        world.stream_now().await;
        publisher.stop().await;
        // For the next round the letters are as they were after the first.
        restore(&world, &kept).await;
    }
}

fn without_conditions(message: &StreamMessage) -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    for (name, values) in message.headers.iter() {
        if !name.to_string().starts_with("Nats-Expected-") {
            headers.insert(name.clone(), values[0].clone());
        }
    }
    headers
}

/// Writes down again what was sent late, and that everything was sent.
async fn restore(world: &World, kept: &[StreamMessage]) {
    let pool = world.pool();
    sqlx::query("DELETE FROM relay.dead_letters").execute(&pool).await.unwrap();
    for message in kept.iter().filter(|message| message.headers.get("ce-late").is_some()) {
        sqlx::query(
            "INSERT INTO relay.dead_letters
                 (consumer, key, message_id, state, subject, headers, body, position, sent_sequence)
             VALUES ($1, $2, $3::uuid, 'sent', $4, '{}', '', $5, $6)",
        )
        .bind(format!("relay:{}", world.namespace.stream_name()))
        .bind(header(message, "ce-subject"))
        .bind(header(message, "ce-id"))
        .bind(SUBJECT)
        .bind(header(message, "ce-position").parse::<i64>().unwrap())
        .bind(i64::try_from(message.sequence).unwrap())
        .execute(&pool)
        .await
        .unwrap();
    }
    world.set_cursor(10).await;
}

/// Any event may fail at any attempt, and publishers die anywhere.
#[tokio::test]
async fn publishers_that_die_while_they_redrive_leave_no_gap_and_no_repetition() {
    let world = World::new().await;
    let sometimes = |event: &RecordedEvent| {
        let is_broken = event.stream.as_str() != B && rand::random_range(0..4) == 0;
        if is_broken { Err(RenderError::new("not now")) } else { render(event) }
    };
    for _ in 0..25 {
        world.append_to(&[A, B, C], 8).await;
        let mut publisher = world.publisher_with(world.quick(), sometimes);
        publisher.reaches("a leader", |state| state.resumed > 0).await;
        world.retry_all().await;
        // The moment at which it dies, nothing is waited for.
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..120))).await;
        publisher.abort().await;
        world.expire_lease().await;
    }
    let publisher = world.publisher_with(world.quick(), render);
    world.retry_all().await;
    let told = world.stream_now().await;
    let redriven = late(&told).len();
    assert!(redriven > 20, "{redriven} sent late");
    publisher.stop().await;
}

/// It is held up while it makes a message, loses the lease meanwhile, and finds that it fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_late_leader_holds_nothing() {
    let world = World::new().await;
    world.append_to(&[A, B], 3).await;
    let (entered, enters) = mpsc::channel::<()>();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let contract = move |event: &RecordedEvent| {
        if is(event, A, 2) {
            entered.send(()).unwrap();
            let _ = tokio::task::block_in_place(|| goes_on.lock().unwrap().recv_timeout(LIMIT));
            return Err(RenderError::new("it is late"));
        }
        render(event)
    };
    let mut publisher = world.publisher_with(world.quick(), contract);
    tokio::task::spawn_blocking(move || enters.recv_timeout(LIMIT).unwrap()).await.unwrap();
    sqlx::query(
        "UPDATE eventstore.cursors
         SET epoch = epoch + 1, expires_at = clock_timestamp() + interval '1 hour'",
    )
    .execute(&world.pool())
    .await
    .unwrap();
    go_on.send(()).unwrap();
    publisher.reaches("it to stand by", |state| state.epoch.is_none()).await;
    assert!(world.letters().await.is_empty());
    drop(go_on);
    publisher.abort().await;
}

#[tokio::test]
async fn no_more_is_held_than_the_limit_and_then_publishing_stops_loudly() {
    let world = World::new().await;
    let mends = Mends::default();
    let contract = Mendable {
        mends: mends.clone(),
        broken: |event| {
            if event.stream.as_str() == A { Err(RenderError::new("broken")) } else { render(event) }
        },
    };
    let config = PublisherConfig { held_limit: 3, ..world.quick() };
    let mut publisher = world.publisher_with(config, contract);
    world.append_to(&[A, B], 5).await;
    let reason = publisher.refuses().await;
    assert!(reason.starts_with("3 messages are held already"), "{reason}");
    world.holds(1, 2).await;
    world.told_but(7).await;
    mends.mend();
    world.retry_all().await;
    world.stream_now().await;
    publisher.stop().await;
}
