//! Marks are kept as long as is said, and no longer.

use std::num::NonZeroU16;

use relay::inbox::Retired;
use relay::{ConsumerConfig, Marks, inbox};

use crate::consumers::Plan;
use crate::world::World;

impl World {
    async fn days(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'relay.inbox'::regclass",
        )
        .fetch_one(&self.pool())
        .await
        .unwrap()
    }

    /// Marks of a day into which none came for `idle_days`.
    async fn old_day(&self, day: &str, idle_days: i32) {
        sqlx::query("SELECT relay.prepare_inbox(ARRAY[$1::date])")
            .bind(day)
            .execute(&self.pool())
            .await
            .unwrap();
        sqlx::query(
            "UPDATE relay.inbox_days SET touched_on = touched_on - $2 WHERE day = $1::date",
        )
        .bind(day)
        .bind(idle_days)
        .execute(&self.pool())
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn marks_go_by_the_day_when_none_came_for_long_enough() {
    let world = World::with_effects().await;
    world.old_day("2020-01-01", 8).await;
    world.old_day("2020-01-02", 7).await;
    world.old_day("2020-01-03", 100).await;
    assert_eq!(world.days().await, 3);
    // Somebody who reads one of them is not waited for, and holds nobody up.
    let mut transaction = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM relay.inbox_20200103").execute(&mut *transaction).await.unwrap();
    let publisher = world.publisher();
    let consumer = world.consumer(Plan::new());
    world.append(20).await;
    world.takes_effect().await;
    let keep = NonZeroU16::new(7).unwrap();
    let retired = inbox::retire(&world.pool(), keep).await.unwrap();
    assert_eq!(retired, Retired { dropped: 1, left: 1 }, "one is held");
    // The day of what took effect now is there too.
    assert_eq!(world.days().await, 3);
    transaction.commit().await.unwrap();
    let retired = inbox::retire(&world.pool(), keep).await.unwrap();
    assert_eq!(retired, Retired { dropped: 1, left: 0 }, "the other day");
    assert_eq!(world.days().await, 2);
    world.append(20).await;
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_day_that_is_dropped_while_its_messages_come_is_made_again() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let consumer = world.consumer(Plan::new());
    world.append(20).await;
    world.takes_effect().await;
    // Nobody does that; but if somebody did, nothing would stand still.
    sqlx::query(
        "DO $$ DECLARE name text; BEGIN
            FOR name IN SELECT inhrelid::regclass FROM pg_inherits
                WHERE inhparent = 'relay.inbox'::regclass LOOP
                EXECUTE 'DROP TABLE ' || name;
            END LOOP;
         END $$",
    )
    .execute(&world.pool())
    .await
    .unwrap();
    world.append(20).await;
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

/// Positions instead of marks: as many rows as keys have slots, however many messages there were.
#[tokio::test]
async fn progress_takes_as_many_rows_as_there_are_slots() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let progress = |config: &mut ConsumerConfig| config.marks = Marks::Progress;
    let consumer = world.consumer_with(Plan::new(), progress);
    let streams: Vec<String> = (0..100).map(|number| format!("testing.thing-{number}")).collect();
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    world.append_to(&streams, 10).await;
    world.takes_effect_by_key().await;
    consumer.stop().await;
    // All of them again, from a stream that was made again, to a consumer the broker does not know.
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    let mut consumer = world.consumer_with(Plan::new(), progress);
    consumer.reaches("all of them again", |state| state.repeated == 1_000).await;
    world.takes_effect_by_key().await;
    let (rows, marks): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM relay.progress), (SELECT count(*) FROM relay.inbox)",
    )
    .fetch_one(&world.pool())
    .await
    .unwrap();
    assert!((1..=i64::from(relay::SLOTS)).contains(&rows), "{rows}");
    assert_eq!(marks, 0);
    consumer.stop().await;
    publisher.stop().await;
}
