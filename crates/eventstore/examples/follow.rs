//! A read model of one's own: follows the log and keeps a table, with its position beside it.
//!
//! `cargo run --package eventstore --example follow` starts a private PostgreSQL for it.

use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, Filter, Fingerprint, Metadata,
    NewEvent, Position, StreamId, Wakeup,
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// Counts events by type, up to `until`.
async fn follow(
    store: &EventStore,
    pool: &PgPool,
    until: Position,
) -> Result<(), Box<dyn std::error::Error>> {
    // Where it was when it last committed: the rows and this position are one.
    let position: i64 =
        sqlx::query_scalar("SELECT position FROM counted_to").fetch_one(pool).await?;
    let filter = Filter { categories: Some(vec!["shop.order".to_owned()]), ..Filter::default() };
    let wakeup = Wakeup::listen(pool.clone());
    let mut subscription = store.subscribe(filter, Position::new(position), wakeup);
    while subscription.position() < until {
        let page = subscription.next().await?;
        let mut transaction = pool.begin().await?;
        for event in &page.events {
            sqlx::query(
                "INSERT INTO counts VALUES ($1, 1) ON CONFLICT (type) DO UPDATE SET count = counts.count + 1",
            )
            .bind(event.event_type.to_string())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE counted_to SET position = $1")
            .bind(page.reached.get())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it shows what happens")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let postgres = testkit::Postgres::start_ephemeral()?;
    let pool = PgPoolOptions::new().connect(&postgres.url()).await?;
    sqlx::migrate!("../../migrations").run(&pool).await?;
    sqlx::raw_sql(
        "CREATE TABLE counts (type text PRIMARY KEY, count bigint NOT NULL);
         CREATE TABLE counted_to AS SELECT 0::bigint AS position",
    )
    .execute(&pool)
    .await?;
    let store = EventStore::open(pool.clone()).await?;

    for number in 0..30_u32 {
        let category = if number % 3 == 0 { "shop.cart" } else { "shop.order" };
        let stream = StreamId::new(format!("{category}-{number}"))?;
        let command = Uuid::from_u128(number.into());
        let metadata = Metadata {
            actor: "example".to_owned(),
            tenant: None,
            correlation_id: command,
            causation_id: None,
            trace: None,
        };
        let mut append = Append::new(CommandId::new(command), Fingerprint::of(b""), metadata);
        append.expectations.push((stream.clone(), ExpectedVersion::NO_STREAM));
        append.events.push(NewEvent::new(stream, EventType::new("shop.opened", 1), "{}"));
        store.append(append).await?;
        if number == 10 {
            follow(&store, &pool, store.head().await?).await?;
        }
    }
    // Another process, later: it goes on where the first one was.
    follow(&store, &pool, store.head().await?).await?;
    let count: i64 = sqlx::query_scalar("SELECT count FROM counts").fetch_one(&pool).await?;
    println!("{count} orders were opened");
    assert_eq!(count, 20);
    Ok(())
}
