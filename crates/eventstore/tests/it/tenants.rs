//! Whose organization an event belongs to: every way to read tells it as it was appended.

use eventstore::{
    Append, EventStore, ExpectedVersion, Filter, NewMessage, Outbound, OutboxPlace, PageLimit,
    Position, Query, QueryItem, RecordedEvent, StreamSlice, Tag,
};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use sqlx::migrate::Migrator;
use testkit::TestDatabase;
use uuid::Uuid;

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, id, log, stream, to};

/// The last migration before events had tenants.
const BEFORE: i64 = 8;

fn of(tenant: Option<Uuid>, mut append: Append) -> Append {
    append.metadata.tenant = tenant;
    append
}

fn tenants(events: &[RecordedEvent]) -> Vec<Option<Uuid>> {
    events.iter().map(|event| event.metadata.tenant).collect()
}

#[tokio::test]
async fn it_is_read_back_by_every_way_to_read() {
    let (_database, store) = log().await;
    let (tenant, tag) = (Some(id()), Tag::new("t").unwrap());
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    let mut command = of(tenant, to("a", exactly(1), 1));
    command.events[0].tags = vec![tag.clone()];
    let (about, subject) = (stream("asked-1"), "test.asked.v1".to_owned());
    command.messages = vec![NewMessage { id: id(), stream: about, subject, body: "1".to_owned() }];
    append(&store, command).await.unwrap();
    append(&store, of(Some(id()), to("b", exactly(0), 1))).await.unwrap();

    let log = all(&store).await;
    assert_eq!(tenants(&log)[..2], [None, tenant]);
    let (second, start) = (Position::new(2), Position::START);
    let tagged = Filter { tags: vec![tag.clone()], ..Filter::everything() };
    for filter in [Filter { tenant, ..Filter::everything() }, Filter { tenant, ..tagged.clone() }] {
        let page = store.read_page(&filter, start, Position::MAX, 10).await.unwrap();
        let found: Vec<_> = page.events.iter().map(|event| event.position).collect();
        assert_eq!((tenants(&page.events), found), (vec![tenant], vec![second]));
    }
    let nobody = Filter { tenant: Some(id()), ..tagged };
    assert!(store.read_page(&nobody, start, Position::MAX, 10).await.unwrap().events.is_empty());
    for (slice, expected) in
        [(StreamSlice::ALL, [None, tenant]), (StreamSlice::backward(), [tenant, None])]
    {
        let read: Vec<_> = store.read_stream(&stream("a"), slice).try_collect().await.unwrap();
        assert_eq!(tenants(&read), expected);
    }
    let matching = Query::nothing().or(QueryItem::tagged([tag]));
    let matching = store.read_matching(&matching, start).await.unwrap();
    assert_eq!(tenants(&matching.events), [tenant]);
    let mut connection = store.pool().acquire().await.unwrap();
    assert_eq!(tenants(&store.read_at(&mut connection, &[second]).await.unwrap()), [tenant]);
    drop(connection);
    let event = store.event(log[1].id).await.unwrap().unwrap();
    assert_eq!(event.metadata.tenant, tenant);
    let outbox = store.read_outbox(Position::new(1), 1).await.unwrap();
    assert_eq!(outbox[0].event.metadata.tenant, tenant);
}

/// From the outbox, and from the log where the outbox is silent; a message has that of its append.
#[tokio::test]
async fn it_is_known_of_what_the_public_may_be_told() {
    let (database, store) = log().await;
    let tenant = Some(id());
    let mut command = of(tenant, to("a", exactly(0), 1));
    let (about, subject) = (stream("asked-1"), "test.asked.v1".to_owned());
    command.messages = vec![NewMessage { id: id(), stream: about, subject, body: "1".to_owned() }];
    append(&store, command).await.unwrap();
    let told = async |after| {
        let limit = PageLimit { events: 10, bytes: usize::MAX };
        let page = store.read_outbound(after, limit).await.unwrap();
        let tenant = |item: Outbound| match item {
            Outbound::Event { event, .. } => event.metadata.tenant,
            Outbound::Message(message) => message.metadata.tenant,
        };
        page.items.into_iter().map(tenant).collect::<Vec<_>>()
    };
    assert_eq!(told(OutboxPlace::after(Position::START)).await, [tenant, tenant]);
    assert_eq!(told(OutboxPlace::within(Position::new(1), 0)).await, [tenant]);
    let silent = "UPDATE eventstore.log SET outbox_floor = 1";
    sqlx::query(silent).execute(&database.pool()).await.unwrap();
    assert_eq!(told(OutboxPlace::after(Position::START)).await, [tenant]);
}

/// Many share a call, some with a tenant and some without, and some are refused.
#[tokio::test]
async fn each_append_of_a_batch_keeps_its_own() {
    let (_database, store) = log().await;
    append(&store, to("taken", exactly(0), 1)).await.unwrap();
    for some in [false, true] {
        let commands = (0..60).map(|number| {
            let is_refused = number % 3 == 0;
            let name = if is_refused { "taken".to_owned() } else { format!("{some}-{number}") };
            of((some && number % 2 == 0).then(id), to(&name, exactly(0), 1 + number % 2))
        });
        let commands: Vec<_> = commands.collect();
        let done = join_all(commands.iter().map(|command| append(&store, command.clone()))).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 40);
        let log = all(&store).await;
        for (command, done) in commands.iter().zip(done) {
            let events = log.iter().filter(|event| event.command_id == command.command_id);
            let read: Vec<_> = events.map(|event| event.metadata.tenant).collect();
            let count = if done.is_ok() { command.events.len() } else { 0 };
            assert_eq!(read, vec![command.metadata.tenant; count]);
        }
    }
}

#[tokio::test]
async fn what_was_recorded_before_there_were_tenants_belongs_to_none() {
    let earlier = MIGRATOR.iter().filter(|migration| migration.version <= BEFORE).cloned();
    let earlier = Migrator::with_migrations(earlier.collect());
    let database = TestDatabase::create(&earlier).await;
    let insert = "INSERT INTO eventstore.events (position, recorded_at, command_id, correlation_id, version,
                      schema_version, type, stream, actor, payload)
                  VALUES (1, now(), gen_random_uuid(), gen_random_uuid(), 1, 1, 'test.happened', 'a', 'test', '{}')";
    sqlx::query(insert).execute(&database.pool()).await.unwrap();
    MIGRATOR.run(&database.pool()).await.unwrap();
    let store = EventStore::open(database.pool()).await.unwrap();
    let tenant = Some(id());
    append(&store, of(tenant, to("a", exactly(1), 1))).await.unwrap();
    append(&store, to("b", ExpectedVersion::Any, 1)).await.unwrap();
    let log = all(&store).await;
    assert_gapless(&log);
    assert_eq!(tenants(&log), [None, tenant, None]);
}
