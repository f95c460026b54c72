//! A consumer that writes a row for each message, beside a program that inserts the same rows.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use eventstore::{RecordedEvent, Wakeup};
use relay::{
    Consumer, ConsumerConfig, Handler, HandlerError, IncomingMessage, Marks, Namespace, Publisher,
    PublisherConfig, RenderError, Rendered,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use testkit::Nats;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::read::peak_mib;
use super::{Plan, median};
use crate::load::{Measured, count};
use crate::report::{Report, Target};
use crate::{event, ground, server};

/// Messages that take effect.
const MESSAGES: i64 = 200_000;

/// What a child process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Consumed {
    seconds: f64,
    memory_mib: f64,
}

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("A consumer takes effect of 200,000 messages, a row each");
    let config = ConsumerConfig::new("effects", Namespace::default(), [event::SUBJECT]);
    let (mut bare, mut marks, mut progress, mut memory) = (vec![], vec![], vec![], 0.0_f64);
    for _ in 0..plan.rounds {
        let nats = Nats::start_ephemeral()?;
        let database = plan.server.database().await;
        publish(database.url(), &nats.url()).await?;
        let pool = prepared(database.url()).await?;
        bare.push(insert(&pool, &config).await?);
        for (kind, rates) in [("inbox", &mut marks), ("progress", &mut progress)] {
            sqlx::query("TRUNCATE effects").execute(&pool).await?;
            let output = Command::new(std::env::current_exe()?)
                .args(["consume", database.url(), &nats.url(), kind])
                .kill_on_drop(true)
                .output()
                .await?;
            let consumed: Consumed =
                serde_json::from_slice(&output.stdout).context("read what the consumer says")?;
            rates.push(rate(consumed.seconds));
            memory = memory.max(consumed.memory_mib);
        }
        nats.stop()?;
    }
    let [bare, marks, progress] = [bare, marks, progress].map(median);
    report.rate("bare insert of marks and effects", bare);
    report.rate("consumer, a mark for each message", marks);
    report.rate("consumer, a position for each slot", progress);
    let ratio = |ours: Measured| ours.rate_per_s / bare.rate_per_s;
    report.figure("consumer with marks / bare insert", ratio(marks), "", Target::AtLeast(0.5));
    report.figure("with positions / bare insert", ratio(progress), "", Target::AtLeast(0.5));
    report.figure("consumer resident", memory, "MiB", Target::AtMost(64.0));
    Ok(())
}

/// Fills the log, and brings it into the stream.
async fn publish(url: &str, nats: &str) -> anyhow::Result<()> {
    ground::fill(url, MESSAGES).await?;
    let store = server::store(url).await?;
    let wakeup = Wakeup::listen(store.pool().clone());
    let config = PublisherConfig::new(nats.parse()?, Namespace::default());
    let publisher = Publisher::new(store, wakeup, config, render);
    let mut state = publisher.state();
    let stop = CancellationToken::new();
    let running = tokio::spawn(publisher.run(stop.clone()));
    state.wait_for(|state| state.position.get() >= MESSAGES).await?;
    stop.cancel();
    Ok(running.await?)
}

#[expect(clippy::unnecessary_wraps, reason = "it is a Render")]
pub(super) fn render(event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
    let subject = event::SUBJECT.to_owned();
    Ok(Some(Rendered { subject, body: event.payload.clone() }))
}

pub(super) async fn prepared(url: &str) -> anyhow::Result<PgPool> {
    let pool = server::pool(url).await?;
    sqlx::raw_sql(
        "CREATE TABLE effects (message_id uuid NOT NULL, subject text NOT NULL, body json NOT NULL);
         CREATE TABLE bare_marks (LIKE relay.inbox INCLUDING ALL);",
    )
    .execute(&pool)
    .await?;
    Ok(pool)
}

/// The same rows in batches as large, on as many connections, and nothing else.
async fn insert(pool: &PgPool, config: &ConsumerConfig) -> anyhow::Result<Measured> {
    let (batch, lanes) = (usize::from(config.batch.get()), usize::from(config.parallel.get()));
    let messages = usize::try_from(MESSAGES)?;
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..lanes {
        let pool = pool.clone();
        running.spawn(async move {
            let mut left = messages / lanes;
            while left > 0 {
                let rows = left.min(batch);
                left -= rows;
                let ids: Vec<Uuid> = (0..rows).map(|_| event::id()).collect();
                let subjects: Vec<String> =
                    ids.iter().map(|&id| event::stream(id).to_string()).collect();
                let bodies: Vec<String> = ids.iter().map(|&id| event::payload(id)).collect();
                let mut transaction = pool.begin().await?;
                sqlx::query(
                    "INSERT INTO bare_marks (consumer, message_id, day)
                     SELECT 'effects', id, '2026-01-01' FROM unnest($1::uuid[]) AS given (id)",
                )
                .bind(&ids)
                .execute(&mut *transaction)
                .await?;
                effects(&mut transaction, &ids, &subjects, &bodies).await?;
                transaction.commit().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(inserted) = running.join_next().await {
        inserted??;
    }
    Ok(rate(began.elapsed().as_secs_f64()))
}

fn rate(seconds: f64) -> Measured {
    let rate_per_s = count(usize::try_from(MESSAGES).unwrap_or_default()) / seconds;
    Measured { rate_per_s, ..Measured::default() }
}

async fn effects<T: AsRef<str> + Sync>(
    connection: &mut PgConnection,
    ids: &[Uuid],
    subjects: &[T],
    bodies: &[T],
) -> Result<(), sqlx::Error> {
    let [subjects, bodies] =
        [subjects, bodies].map(|texts| texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
    sqlx::query(
        "INSERT INTO effects (message_id, subject, body)
         SELECT id, subject, body::json
         FROM unnest($1::uuid[], $2::text[], $3::text[]) AS given (id, subject, body)",
    )
    .bind(ids)
    .bind(subjects)
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) struct Effects;

impl Handler for Effects {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
        let subjects: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
        let bodies: Vec<&str> = messages.iter().map(|message| message.data.as_str()).collect();
        effects(transaction, &ids, &subjects, &bodies).await?;
        Ok(())
    }
}

/// What a child process does: as any process that has a consumer.
pub(crate) async fn consume(url: &str, nats: &str, kind: &str) -> anyhow::Result<Consumed> {
    let pool = server::pool(url).await?;
    let marks = match kind {
        "progress" => Marks::Progress,
        _ => Marks::Inbox,
    };
    let config = ConsumerConfig {
        marks,
        ..ConsumerConfig::new(kind, Namespace::default(), [event::SUBJECT])
    };
    let consumer = Consumer::new(pool, nats.parse()?, config, Effects);
    let mut state = consumer.state();
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(consumer.run(stop.clone()));
    let messages = u64::try_from(MESSAGES)?;
    let limit = Duration::from_mins(5);
    tokio::time::timeout(limit, state.wait_for(|state| state.effects >= messages)).await??;
    let seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    running.await?;
    Ok(Consumed { seconds, memory_mib: peak_mib()? })
}
