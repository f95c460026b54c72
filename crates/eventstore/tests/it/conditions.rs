//! Decisions across streams: an append on the condition that nothing matches a query.

use std::sync::Arc;

use eventstore::{
    Append, AppendError, Condition, EventStore, EventType, ExpectedVersion, NewEvent, Position,
    Query, QueryItem, Tag,
};
use tokio::task::JoinSet;

use crate::support::{all, append, assert_gapless, log, stream, to};

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// One event called `name` with `tags` on a stream of its own.
fn tagged(on: &str, name: &str, tags: &[&str]) -> Append {
    let mut append = to(on, ExpectedVersion::Any, 0);
    append.events.push(NewEvent {
        tags: tags.iter().map(|text| tag(text)).collect(),
        ..NewEvent::new(stream(on), EventType::new(name, 1), "{}")
    });
    append
}

fn unless(mut append: Append, query: Query, after: Position) -> Append {
    append.conditions.push(Condition { after, query });
    append
}

#[tokio::test]
async fn a_condition_fails_on_what_matches_after_its_position_and_on_nothing_else() {
    let (_database, store) = log().await;
    let first = append(&store, tagged("a", "test.joined", &["course:1", "student:1"])).await;
    let first = first.unwrap().position;
    let both = QueryItem::tagged([tag("course:1"), tag("student:1")]);
    let cases = [
        (QueryItem::tagged([tag("course:1")]), true),
        (QueryItem::tagged([tag("student:1"), tag("course:1")]), true),
        (QueryItem::tagged([tag("course:1"), tag("student:2")]), false),
        (QueryItem::tagged([tag("course:2")]), false),
        (both.clone().of_types(["test.joined"]), true),
        (both.of_types(["test.left"]), false),
        (QueryItem::default().of_types(["test.joined"]), true),
        (QueryItem::default().of_types(["test.left"]), false),
        (QueryItem::default(), true),
    ];
    for (item, matches) in cases {
        let query = Query::nothing().or(item.clone());
        let before = Position::new(first.get() - 1);
        let page = store.read_matching(&query, before).await.unwrap();
        let seen: Vec<_> = page.events.iter().map(|event| event.position).collect();
        let expected = if matches { vec![first] } else { vec![] };
        assert_eq!(seen, expected, "{item:?}");
        assert_eq!(page.reached, store.head().await.unwrap());

        let nothing = to("b", ExpectedVersion::Any, 0);
        let after_it = append(&store, unless(nothing, query.clone(), first)).await;
        assert!(after_it.is_ok(), "{item:?} {after_it:?}");
        let nothing = to("b", ExpectedVersion::Any, 0);
        let before_it = append(&store, unless(nothing, query, before)).await;
        match before_it {
            Err(AppendError::ConditionFailed { position, stream: of }) => {
                assert!(matches, "{item:?}");
                assert_eq!((position, of), (first, stream("a")));
            }
            outcome => assert!(!matches && outcome.is_ok(), "{item:?} {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn of_all_that_fails_the_first_event_is_told_whichever_condition_it_fails() {
    let (_database, store) = log().await;
    append(&store, tagged("a", "test.joined", &["course:1"])).await.unwrap();
    append(&store, tagged("b", "test.joined", &["course:2"])).await.unwrap();
    let of = |text| QueryItem::tagged([tag(text)]);
    let one = Query::nothing().or(of("course:2")).or(of("course:1"));
    let nothing = || to("c", ExpectedVersion::Any, 0);
    let items = unless(nothing(), one, Position::START);
    let two = unless(nothing(), Query::nothing().or(of("course:2")), Position::START);
    let conditions = unless(two, Query::nothing().or(of("course:1")), Position::START);
    for command in [items, conditions] {
        match append(&store, command).await {
            Err(AppendError::ConditionFailed { position, stream: of }) => {
                assert_eq!((position, of), (Position::new(1), stream("a")));
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_refused_condition_leaves_nothing_and_does_not_hurt_its_batch() {
    let (_database, store) = log().await;
    append(&store, tagged("a", "test.joined", &["course:1"])).await.unwrap();
    let query = Query::nothing().or(QueryItem::tagged([tag("course:1")]));
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let store = store.clone();
        let mut command = tagged(&format!("of-{number}"), "test.other", &["course:2"]);
        if number % 2 == 0 {
            command = unless(command, query.clone(), Position::START);
        }
        tasks.spawn(async move { (number, append(&store, command).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (number, outcome) = done.unwrap();
        assert_eq!(outcome.is_ok(), number % 2 == 1, "{number} {outcome:?}");
    }
    let events = all(&store).await;
    assert_eq!(events.len(), 21);
    assert_gapless(&events);
}

/// Joins course `course` if it has room for the student, as one decision over two aggregates.
async fn join(store: &EventStore, course: usize, student: usize, room: usize) -> bool {
    loop {
        let of_course = QueryItem::tagged([tag(&format!("course:{course}"))]);
        let of_student = QueryItem::tagged([tag(&format!("student:{student}"))]);
        let query = Query::nothing().or(of_course).or(of_student);
        let page = store.read_matching(&query, Position::START).await.unwrap();
        let count = |text: String| {
            page.events.iter().filter(|event| event.tags.contains(&tag(&text))).count()
        };
        if count(format!("course:{course}")) >= room || count(format!("student:{student}")) >= 2 {
            return false;
        }
        let tags = [format!("course:{course}"), format!("student:{student}")];
        let command =
            tagged(&format!("joined-{course}-{student}"), "test.joined", &[&tags[0], &tags[1]]);
        match append(store, unless(command, query, page.reached)).await {
            Ok(_) => return true,
            Err(AppendError::ConditionFailed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// No serializable isolation is needed: the order lock is held while the condition is checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_over_two_kinds_of_things_holds_under_contention_from_three_processes() {
    const COURSES: usize = 3;
    const STUDENTS: usize = 16;
    const ROOM: usize = 5;
    let (database, store) = log().await;
    let mut stores = vec![store.clone()];
    for _ in 0..2 {
        stores.push(EventStore::open(database.pool()).await.unwrap());
    }
    let stores = Arc::new(stores);
    let mut tasks = JoinSet::new();
    for number in 0..COURSES * STUDENTS {
        let stores = Arc::clone(&stores);
        tasks.spawn(async move {
            let (course, student) = (number % COURSES, number / COURSES);
            join(&stores[number % stores.len()], course, student, ROOM).await
        });
    }
    let mut joined = 0;
    while let Some(done) = tasks.join_next().await {
        joined += usize::from(done.unwrap());
    }
    let events = all(&store).await;
    assert_gapless(&events);
    assert_eq!(events.len(), joined);
    let count = |text: String| events.iter().filter(|e| e.tags.contains(&tag(&text))).count();
    for course in 0..COURSES {
        assert!(count(format!("course:{course}")) <= ROOM);
    }
    for student in 0..STUDENTS {
        assert!(count(format!("student:{student}")) <= 2);
    }
    // 3 courses of 5 and 16 students of 2: every place is taken.
    assert_eq!(joined, COURSES * ROOM);
}
