//! Every way to read agrees with a look at the whole log.

use eventstore::{
    Direction, EventStore, EventType, ExpectedVersion, Filter, Moment, NewEvent, Position,
    RecordedEvent, StreamSlice, StreamVersion, Tag,
};
use futures_util::TryStreamExt;
use proptest::prelude::*;
use sqlx::types::Uuid;

use crate::support::{all, append, exactly, log, stream, to};

/// 2,600 events on four streams of two categories, of three types, three actors, three tenants or none,
/// and some tags.
async fn filled() -> (testkit::TestDatabase, EventStore, Vec<RecordedEvent>) {
    let (database, store) = log().await;
    for number in 0..260 {
        let name = format!("{}-{}", ["one", "two"][number % 2], number % 4);
        let mut command = to(&name, ExpectedVersion::Any, 0);
        command.metadata.actor = format!("actor-{}", number % 3);
        command.metadata.tenant =
            (number % 2 == 0).then(|| Uuid::from_u128(u128::try_from(number % 3).unwrap()));
        command.metadata.correlation_id = Uuid::from_u128(u128::try_from(number % 5).unwrap());
        command.metadata.causation_id =
            (number % 7 == 0).then(|| Uuid::from_u128(u128::try_from(number % 3).unwrap()));
        for event in 0..10 {
            let tags = [format!("t:{}", number % 4), format!("u:{}", event % 3)];
            let tags = tags.iter().take(number % 3).map(|tag| Tag::new(tag.as_str()).unwrap());
            let event_type = EventType::new(format!("test.of-{}", event % 3), 1);
            command.events.push(NewEvent {
                tags: tags.collect(),
                ..NewEvent::new(stream(&name), event_type, format!("{{\"n\": {number}}}"))
            });
        }
        append(&store, command).await.unwrap();
    }
    let events = all(&store).await;
    (database, store, events)
}

fn positions(events: &[RecordedEvent]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

fn filters() -> impl Strategy<Value = Filter> {
    let some = |what: &'static [&'static str]| {
        prop::option::of(prop::collection::vec(prop::sample::select(what), 0..3))
            .prop_map(|picked| picked.map(|picked| picked.into_iter().map(str::to_owned).collect()))
    };
    let tags = prop::collection::vec(prop::sample::select(&["t:0", "t:1", "u:0", "u:9"][..]), 0..3);
    (
        some(&["one", "two", "three"]),
        some(&["test.of-0", "test.of-1", "test.unknown"]),
        tags,
        prop::option::of((0..4).prop_map(|number| format!("actor-{number}"))),
        prop::option::of((0..4_u128).prop_map(Uuid::from_u128)),
        prop::option::of((0..6_u128).prop_map(Uuid::from_u128)),
        prop::option::of((0..4_u128).prop_map(Uuid::from_u128)),
    )
        .prop_map(|(categories, types, tags, actor, tenant, correlation_id, causation_id)| {
            Filter {
                categories,
                types,
                tags: tags.into_iter().map(|tag| Tag::new(tag).unwrap()).collect(),
                actor,
                tenant,
                correlation_id,
                causation_id,
            }
        })
}

#[test]
fn a_filter_in_the_database_passes_what_it_passes_in_code() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_database, store, events) = runtime.block_on(filled());
    let head = i64::try_from(events.len()).unwrap();
    let cases = ProptestConfig { cases: 60, ..ProptestConfig::default() };
    proptest!(cases, |(filter in filters(), after in 0..head, length in 0..head, limit in 1..900_u16)| {
        let (after, to) = (Position::new(after), Position::new((after + length).min(head)));
        let expected: Vec<_> = events
            .iter()
            .filter(|event| event.position > after && event.position <= to && filter.passes(event))
            .map(|event| event.position)
            .collect();
        let (whole, paged) = runtime.block_on(async {
            let whole: Vec<_> = store.read_log(filter.clone(), after, to).try_collect().await.unwrap();
            let (mut at, mut paged) = (after, Vec::new());
            while at < to {
                let page = store.read_page(&filter, at, to, limit).await.unwrap();
                assert!(page.events.len() <= usize::from(limit));
                assert!(page.reached > at, "a page moves on");
                at = page.reached;
                paged.extend(page.events);
            }
            (whole, paged)
        });
        prop_assert_eq!(positions(&whole), expected.clone());
        prop_assert_eq!(positions(&paged), expected);
    });
}

#[tokio::test]
async fn a_stream_is_read_forward_backward_between_versions_and_as_of_a_moment() {
    let (_database, store) = log().await;
    // More than a page.
    for batch in 0..5 {
        append(&store, to("a", exactly(batch * 500), 500)).await.unwrap();
        append(&store, to("b", ExpectedVersion::Any, 1)).await.unwrap();
    }
    let of_a: Vec<_> =
        all(&store).await.into_iter().filter(|event| event.stream == stream("a")).collect();
    let read = async |slice| -> Vec<i64> {
        let events: Vec<_> = store.read_stream(&stream("a"), slice).try_collect().await.unwrap();
        assert!(events.iter().all(|event: &RecordedEvent| event.stream == stream("a")));
        events.iter().map(|event| event.version.get()).collect()
    };
    let upwards = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    let downwards = |from: i64, to: i64| (from..=to).rev().collect::<Vec<_>>();
    assert_eq!(read(StreamSlice::ALL).await, upwards(1, 2_500));
    assert_eq!(read(StreamSlice::backward()).await, downwards(1, 2_500));
    assert_eq!(read(StreamSlice::after(StreamVersion::new(2_498))).await, [2_499, 2_500]);
    let between = StreamSlice {
        from: StreamVersion::new(7),
        to: StreamVersion::new(1_007),
        direction: Direction::Backward,
        ..StreamSlice::ALL
    };
    assert_eq!(read(between).await, downwards(7, 1_007));
    let position = of_a[1_233].position;
    assert_eq!(read(StreamSlice::as_of(Moment::Position(position))).await, upwards(1, 1_234));
    let beyond = StreamSlice { after: position, ..StreamSlice::ALL };
    assert_eq!(read(beyond).await, upwards(1_235, 2_500));
    // All events of an append have its time.
    let time = of_a[999].recorded_at;
    assert_eq!(read(StreamSlice::as_of(Moment::Time(time))).await, upwards(1, 1_000));
    let before_all = of_a[0].recorded_at - std::time::Duration::from_secs(1);
    assert_eq!(read(StreamSlice::as_of(Moment::Time(before_all))).await, upwards(1, 0));
    assert!(read(StreamSlice { to: StreamVersion::START, ..StreamSlice::ALL }).await.is_empty());
    let nothing: Vec<RecordedEvent> =
        store.read_stream(&stream("none"), StreamSlice::ALL).try_collect().await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn the_position_of_a_moment_is_that_of_the_last_event_up_to_it() {
    let (_database, store, events) = filled().await;
    for event in events.iter().step_by(97) {
        let same_time = events.iter().filter(|other| other.recorded_at <= event.recorded_at);
        let last = same_time.map(|other| other.position).max().unwrap();
        let found = store.position_at(Moment::Time(event.recorded_at)).await.unwrap();
        assert_eq!(found, last);
    }
    let later = events.last().unwrap().recorded_at + std::time::Duration::from_secs(9);
    assert_eq!(store.position_at(Moment::Time(later)).await.unwrap(), store.head().await.unwrap());
}

#[tokio::test]
async fn an_id_leads_to_its_event_sorts_like_the_log_and_is_the_same_in_sql() {
    let (database, store, events) = filled().await;
    assert!(events.is_sorted_by(|a, b| a.id < b.id), "ids sort like the log");
    for event in events.iter().step_by(131) {
        let id = event.id.get();
        assert_eq!(id.get_version_num(), 7);
        let found = store.event(event.id).await.unwrap().unwrap();
        assert_eq!((found.position, found.id), (event.position, event.id));
        let in_sql = "SELECT eventstore.event_id(position, recorded_at) FROM eventstore.events WHERE position = $1";
        let in_sql: Uuid = sqlx::query_scalar(in_sql)
            .bind(event.position.get())
            .fetch_one(&database.pool())
            .await
            .unwrap();
        assert_eq!(in_sql, id);
    }
    // The id of another log at the same place and time is another id.
    let (_other_database, other, others) = filled().await;
    assert_ne!(others[0].id, events[0].id);
    assert!(other.event(events[0].id).await.unwrap().is_none());
}

/// A page ends where the log ends, however far it was asked for: what comes later is on the next one.
#[tokio::test]
async fn a_page_beyond_the_end_leaves_out_nothing_that_comes_later() {
    let (_database, store) = log().await;
    append(&store, to("a", exactly(0), 5)).await.unwrap();
    let in_category = Filter { categories: Some(vec!["a".to_owned()]), ..Filter::everything() };
    let filters = [Filter::everything(), Filter::types(["test.happened"]), in_category];
    let mut reached = Vec::new();
    for filter in &filters {
        let page = store.read_page(filter, Position::START, Position::MAX, 100).await.unwrap();
        assert_eq!((page.events.len(), page.reached.get()), (5, 5), "{filter:?}");
        reached.push(page.reached);
    }
    append(&store, to("a", exactly(5), 2)).await.unwrap();
    for (filter, reached) in filters.iter().zip(reached) {
        let page = store.read_page(filter, reached, Position::MAX, 100).await.unwrap();
        assert_eq!(page.events.len(), 2, "{filter:?}");
    }
}
