//! What fails is held in order, never skipped, and other keys flow (law 8).

use std::iter::repeat_with;

use relay::dead_letters::{self, DeadLetter, InterventionError, Selection, State};
use relay::{ConsumerStatus, HandlerError};
use testkit::eventually;

use crate::consumers::{Plan, QUICK};
use crate::world::{LIMIT, SUBJECT, World};

const A: &str = "testing.thing-a";
const B: &str = "testing.thing-b";

/// Fails more often than anything is tried.
fn broken() -> Vec<HandlerError> {
    repeat_with(|| HandlerError::failed("it is broken")).take(1_000).collect()
}

/// Fails that often.
fn broken_times(times: usize) -> Vec<HandlerError> {
    broken().into_iter().take(times).collect()
}

impl World {
    pub(crate) async fn letters(&self) -> Vec<DeadLetter> {
        dead_letters::list(&self.pool(), &Selection::default(), 1_000).await.unwrap()
    }

    /// Waits until there are so many dead letters, so many that wait behind them, and no others.
    pub(crate) async fn holds(&self, dead: usize, waiting: usize) -> Vec<DeadLetter> {
        eventually(LIMIT, "letters to be dead", || async {
            let letters = self.letters().await;
            let count = |state| letters.iter().filter(|letter| letter.state == state).count();
            if (count(State::Dead), count(State::Waiting), letters.len())
                == (dead, waiting, dead + waiting)
            {
                Ok(letters)
            } else {
                Err(letters)
            }
        })
        .await
    }

    async fn interventions(&self) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as("SELECT actor, action, reason FROM relay.interventions ORDER BY id")
            .fetch_all(&self.pool())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn other_keys_flow_and_the_same_key_waits_in_order_until_it_is_redriven() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    // Position 1 is the first of A.
    let broken_consumer = world.consumer(Plan::from([(1, broken())]));
    world.append_to(&[A, B], 10).await;
    let letters = world.holds(1, 9).await;
    assert!(letters.iter().all(|letter| letter.key == A && letter.consumer == "effects"));
    let first = &letters[0];
    assert_eq!(first.attempts, 5, "as often as the retries say");
    assert_eq!(first.error.as_deref(), Some("the handler failed: it is broken"));
    assert_eq!(first.subject, world.namespace.subject(SUBJECT));
    assert_eq!(first.body, br#"{"version":1}"#);
    assert!(first.headers.contains(r#""ce-position":["1"]"#), "{}", first.headers);
    assert!(!first.headers.contains("Nats-"), "{}", first.headers);
    let flowed: Vec<i64> = (1..=10).map(|number| 2 * number).collect();
    assert_eq!(world.effects().await, flowed);
    // The broker is done with them all.
    world.acknowledged().await;
    broken_consumer.stop().await;

    // Another copy, mended, goes on where somebody tells it to, and nowhere else.
    let mended = world.consumer(Plan::new());
    let behind = dead_letters::retry(&world.pool(), letters[1].id, "somebody").await;
    assert!(
        matches!(behind, Err(InterventionError::Behind { first: id, .. }) if id == first.id),
        "{behind:?}"
    );
    dead_letters::retry(&world.pool(), first.id, "somebody").await.unwrap();
    world.takes_effect_by_key().await;
    world.holds(0, 0).await;
    let gone = dead_letters::retry(&world.pool(), first.id, "somebody").await;
    assert!(matches!(gone, Err(InterventionError::Unknown { .. })), "{gone:?}");
    assert_eq!(world.interventions().await, [("somebody".to_owned(), "retry".to_owned(), None)]);
    mended.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn what_works_again_soon_needs_nobody() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let plan = Plan::from([
        (3, broken_times(4)),
        (5, broken_times(2)),
        (6, vec![HandlerError::Conflict, HandlerError::Conflict]),
    ]);
    let mut consumer = world.consumer(plan);
    world.append_to(&[A, B], 20).await;
    world.takes_effect_by_key().await;
    let state = consumer.reaches("the last", |state| state.effects == 40).await;
    assert_eq!(state.status, ConsumerStatus::Consuming);
    world.holds(0, 0).await;
    assert!(world.interventions().await.is_empty());
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn what_is_discarded_is_gone_and_recorded_and_those_behind_it_go_on() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let refusals = repeat_with(|| HandlerError::refused("it makes no sense")).take(100);
    let plan = Plan::from([(1, refusals.collect())]);
    let consumer = world.consumer(plan);
    world.append_to(&[A], 5).await;
    let letters = world.holds(1, 4).await;
    assert_eq!(letters[0].attempts, 1, "it is not tried again");
    let (pool, first) = (world.pool(), letters[0].id);
    dead_letters::discard(&pool, first, "a test order", "somebody").await.unwrap();
    world.holds(0, 0).await;
    assert_eq!(world.effects().await, [2, 3, 4, 5]);
    let recorded = ("somebody".to_owned(), "discard".to_owned(), Some("a test order".to_owned()));
    assert_eq!(world.interventions().await, [recorded]);
    let rewritten = sqlx::query("UPDATE relay.interventions SET actor = 'nobody'").execute(&pool);
    let refused = rewritten.await.unwrap_err().to_string();
    assert!(refused.contains("what was done stays recorded"), "{refused}");
    // Delivered again, it stays discarded.
    consumer.stop().await;
    world.stream().await.delete_consumer("effects").await.unwrap();
    let mut consumer = world.consumer(Plan::new());
    consumer.reaches("all of them again", |state| state.repeated == 5).await;
    assert_eq!(world.effects().await, [2, 3, 4, 5]);
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn all_are_redriven_by_one_word() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let streams: Vec<String> = (0..20).map(|number| format!("testing.thing-{number}")).collect();
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    let plan: Plan = (1..=20).map(|position| (position, broken())).collect();
    let consumer = world.consumer(plan);
    world.append_to(&streams, 5).await;
    world.holds(20, 80).await;
    consumer.stop().await;
    let mended = world.consumer(Plan::new());
    let other = dead_letters::retry_all(&world.pool(), Some("another"), "somebody").await;
    assert_eq!(other.unwrap(), 0);
    assert_eq!(dead_letters::retry_all(&world.pool(), None, "somebody").await.unwrap(), 20);
    world.takes_effect_by_key().await;
    mended.stop().await;
    publisher.stop().await;
}

/// When everything fails it is the handler that is broken: it stands still, and says so.
#[tokio::test]
async fn no_more_is_held_than_the_limit() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let streams: Vec<String> = (0..30).map(|number| format!("testing.thing-{number}")).collect();
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    let plan: Plan = (1..=30).map(|position| (position, broken())).collect();
    let mut consumer = world.consumer_with(plan, |config| config.held_limit = 10);
    world.append_to(&streams, 1).await;
    let stalled = consumer
        .reaches("it to stand still", |state| {
            matches!(&state.status, ConsumerStatus::Stalled { error } if error.starts_with("10 messages are held"))
        })
        .await;
    assert!(stalled.held >= 10, "{stalled:?}");
    assert!(world.effects().await.is_empty());
    consumer.stop().await;
    // Nothing is lost: mended, it takes effect of them all.
    let mended = world.consumer(Plan::new());
    eventually(LIMIT, "all of them", || async {
        dead_letters::retry_all(&world.pool(), None, "somebody").await.unwrap();
        let effects = world.effects().await.len();
        if effects >= 30 { Ok(()) } else { Err(effects) }
    })
    .await;
    world.takes_effect_by_key().await;
    mended.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_held_and_the_rest_flows() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    world.append(2).await;
    world.complete().await;
    publisher.stop().await;
    let context = world.context().await;
    let foreign = context.publish(world.namespace.subject(SUBJECT), "{}".into()).await;
    foreign.unwrap().await.unwrap();
    let consumer = world.consumer(Plan::new());
    let letters = world.holds(1, 0).await;
    assert_eq!(letters[0].error.as_deref(), Some("header ce-specversion is missing"));
    assert_eq!((letters[0].key.as_str(), letters[0].body.as_slice()), ("unreadable", &b"{}"[..]));
    consumer.stop().await;

    // It is held once, however often it comes.
    world.stream().await.delete_consumer("effects").await.unwrap();
    let mut consumer = world.consumer(Plan::new());
    consumer.reaches("both again", |state| state.repeated >= 1).await;
    world.acknowledged().await;
    assert_eq!(world.letters().await.len(), 1);
    world.stream().await.delete_message(2).await.unwrap();
    let publisher = world.publisher();
    world.append(2).await;
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_handler_that_waits_too_long_has_failed() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let mut transaction = world.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE effects").execute(&mut *transaction).await.unwrap();
    let consumer = world.consumer_with(Plan::new(), |config| {
        config.handler_limit = std::time::Duration::from_millis(200);
        config.retries = relay::Retries { attempts: 1_000, ..QUICK };
    });
    world.append_to(&[A], 3).await;
    let letters = eventually(LIMIT, "a letter that was retried", || async {
        let letters = world.letters().await;
        let is_retried =
            letters.iter().any(|letter| letter.attempts >= 2 && letter.error.is_some());
        if is_retried { Ok(letters) } else { Err(letters) }
    })
    .await;
    let error = letters[0].error.as_deref().unwrap();
    assert!(error.contains("canceling statement due to statement timeout"), "{error}");
    transaction.commit().await.unwrap();
    world.takes_effect_by_key().await;
    consumer.stop().await;
    publisher.stop().await;
}
