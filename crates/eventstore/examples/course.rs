//! A rule over several things at once, without an aggregate that holds them all: a course has three
//! places, and a student takes two courses at most.
//!
//! The decision is made on all events that have the course's tag or the student's; the append then
//! happens only if nothing that matches was appended since (a dynamic consistency boundary).
//!
//! `cargo run --package eventstore --example course` starts a private PostgreSQL for it.

use eventstore::{
    Append, AppendError, CommandId, Condition, EventStore, EventType, ExpectedVersion, Fingerprint,
    Metadata, NewEvent, Position, Query, QueryItem, StreamId, Tag,
};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

const PLACES: usize = 3;
const COURSES: usize = 2;

/// Joins `course` for `student`; `false` if a rule forbids it.
async fn join(
    store: &EventStore,
    course: u32,
    student: u32,
) -> Result<bool, Box<dyn std::error::Error>> {
    let (course, student) =
        (Tag::new(format!("course:{course}"))?, Tag::new(format!("student:{student}"))?);
    let joined = |tag: &Tag| QueryItem::tagged([tag.clone()]).of_types(["school.joined"]);
    let query = Query::nothing().or(joined(&course)).or(joined(&student));
    loop {
        let stream = StreamId::new(format!("school.place-{course}-{student}"))?;
        let command = Uuid::new_v5(&Uuid::NAMESPACE_OID, stream.as_str().as_bytes());
        if store.receipt(CommandId::new(command)).await?.is_some() {
            return Ok(true);
        }

        let (mut after, mut places, mut courses) = (Position::START, 0, 0);
        loop {
            let known = store.read_matching(&query, after).await?;
            after = known.reached;
            if known.events.is_empty() {
                break;
            }
            let count = |tag| known.events.iter().filter(|event| event.tags.contains(tag)).count();
            (places, courses) = (places + count(&course), courses + count(&student));
        }
        if places >= PLACES || courses >= COURSES {
            return Ok(false);
        }

        let metadata = Metadata {
            actor: student.to_string(),
            tenant: None,
            correlation_id: command,
            causation_id: None,
            trace: None,
        };
        let fingerprint = Fingerprint::of(stream.as_str().as_bytes());
        let mut append = Append::new(CommandId::new(command), fingerprint, metadata);
        append.expectations.push((stream.clone(), ExpectedVersion::NO_STREAM));
        append.events.push(NewEvent {
            tags: vec![course.clone(), student.clone()],
            ..NewEvent::new(stream, EventType::new("school.joined", 1), "{}")
        });
        append.conditions.push(Condition { after, query: query.clone() });
        match store.append(append).await {
            Ok(_) => return Ok(true),
            // Somebody joined meanwhile: look again.
            Err(AppendError::ConditionFailed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it shows what happens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let postgres = testkit::Postgres::start_ephemeral()?;
    let pool = PgPoolOptions::new().connect(&postgres.url()).await?;
    sqlx::migrate!("../../migrations").run(&pool).await?;
    let store = EventStore::open(pool).await?;

    // All at once: the rule holds whoever is faster.
    let all = (0..5).map(|student| join(&store, 1, student));
    let joined = futures_util::future::try_join_all(all).await?;
    println!("five students wanted course 1: {joined:?}");
    assert_eq!(joined.iter().filter(|joined| **joined).count(), PLACES);
    Ok(())
}
