//! From an append to a subscriber's hands, beside a bare publish to a bare consumer; and what relay
//! and consumer cost the writers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, AckKind};
use eventstore::{EventStore, Wakeup};
use futures_util::StreamExt as _;
use relay::{Consumer, ConsumerConfig, Namespace, Publisher, PublisherConfig, oldest_unpublished};
use testkit::Nats;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::inbox::{Effects, prepared, render};
use super::{Plan, append, median};
use crate::load::{Measured, count, measured};
use crate::report::{Report, Target};
use crate::{event, server};

/// Appends a second, evenly.
const RATE: u32 = 2_000;

/// Writers of the pipeline.
const WRITERS: usize = 64;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Live: 2,000 appends a second, from the acknowledgement to a subscriber");
    let (mut bare, mut ours) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        let nats = Nats::start_ephemeral()?;
        bare.push(bare_publish(&nats.url(), plan.time).await?);
        nats.stop()?;
        ours.push(live(plan).await?);
    }
    let [bare, ours] = [bare, ours].map(median);
    report.rate("bare publish to a consumer", bare);
    report.rate("append to a consumer", ours);
    report.figure("p50 / bare p50", ours.p50_ms / bare.p50_ms, "", Target::AtMost(5.0));
    report.figure("p99 / bare p50", ours.p99_ms / bare.p50_ms, "", Target::AtMost(25.0));

    report.title("Pipeline: 64 writers flat out, with relay and consumer and without");
    let (mut alone, mut together, mut behind) = (vec![], vec![], vec![]);
    for _ in 0..plan.rounds {
        let database = plan.server.database().await;
        alone.push(append(&server::store(database.url()).await?, WRITERS, plan.time).await?);
        let (rate, waiting_s) = pipeline(plan).await?;
        together.push(rate);
        behind.push(Measured { rate_per_s: waiting_s, ..Measured::default() });
    }
    let [alone, together, behind] = [alone, together, behind].map(median);
    report.rate("64 writers alone", alone);
    report.rate("64 writers with relay and consumer", together);
    let kept = together.rate_per_s / alone.rate_per_s;
    report.figure("with / without", kept, "", Target::AtLeast(0.5));
    report.note(format!(
        "when the writers stopped, the oldest message had waited {:.2} s to be published",
        behind.rate_per_s
    ));
    Ok(())
}

type Sent = Arc<Mutex<HashMap<Uuid, Instant>>>;

/// Publishes evenly, and times each message to the hands of a consumer.
async fn bare_publish(nats: &str, time: Duration) -> anyhow::Result<Measured> {
    let context = jetstream::new(async_nats::connect(nats).await?);
    let config =
        Config { name: "ANNALS".into(), subjects: vec!["annals.>".into()], ..Config::default() };
    context.create_stream(config).await?;
    let sent = Sent::default();
    let seen = subscribe(nats, Arc::clone(&sent)).await?;
    let subject = format!("annals.{}", event::SUBJECT);
    evenly(time, || {
        let (context, subject, sent) = (context.clone(), subject.clone(), Arc::clone(&sent));
        async move {
            let id = event::id();
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("ce-id", id.to_string());
            let payload = event::payload(id).into();
            note(&sent, id)?;
            context.publish_with_headers(subject, headers, payload).await?.await?;
            Ok(())
        }
    })
    .await?;
    times(seen).await
}

/// Appends evenly with a relay running, and times each event from its acknowledgement.
async fn live(plan: &Plan<'_>) -> anyhow::Result<Measured> {
    let nats = Nats::start_ephemeral()?;
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    let (stop, relay) = start_relay(&store, &nats.url()).await?;
    let sent = Sent::default();
    let seen = subscribe(&nats.url(), Arc::clone(&sent)).await?;
    evenly(plan.time, || {
        let (store, sent) = (store.clone(), Arc::clone(&sent));
        async move {
            let id = event::id();
            store.append(event::append(id, 0)).await?;
            note(&sent, id)
        }
    })
    .await?;
    let measured = times(seen).await?;
    stop.cancel();
    relay.await?;
    nats.stop()?;
    Ok(measured)
}

/// What 64 writers reach beside relay and consumer, and how long the oldest message waits then.
async fn pipeline(plan: &Plan<'_>) -> anyhow::Result<(Measured, f64)> {
    let nats = Nats::start_ephemeral()?;
    let database = plan.server.database().await;
    let pool = prepared(database.url()).await?;
    let store = server::store(database.url()).await?;
    let (stop, relay) = start_relay(&store, &nats.url()).await?;
    let config = ConsumerConfig::new("effects", Namespace::default(), [event::SUBJECT]);
    let consumer = Consumer::new(pool, nats.url().parse()?, config, Effects);
    let consuming = tokio::spawn(consumer.run(stop.clone()));
    let rate = append(&store, WRITERS, plan.time).await?;
    let oldest = oldest_unpublished(&store, &Namespace::default()).await?;
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(store.pool()).await?;
    let waited = oldest.map_or(0.0, |(_, since)| (now - since).as_seconds_f64());
    stop.cancel();
    relay.await?;
    consuming.await?;
    nats.stop()?;
    Ok((rate, waited))
}

async fn start_relay(
    store: &EventStore,
    nats: &str,
) -> anyhow::Result<(CancellationToken, JoinHandle<()>)> {
    let wakeup = Wakeup::listen(store.pool().clone());
    let config = PublisherConfig::new(nats.parse()?, Namespace::default());
    let publisher = Publisher::new(store.clone(), wakeup, config, render);
    let mut state = publisher.state();
    let stop = CancellationToken::new();
    let relay = tokio::spawn(publisher.run(stop.clone()));
    state.wait_for(|state| state.status == relay::RelayStatus::Publishing).await?;
    Ok((stop, relay))
}

/// Does `work` [`RATE`] times a second for `time`, each in a task of its own.
async fn evenly<F>(time: Duration, work: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let over = Instant::now() + time;
    let mut running = tokio::task::JoinSet::new();
    while Instant::now() < over {
        ticks.tick().await;
        running.spawn(work());
        while let Some(done) = running.try_join_next() {
            done??;
        }
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

fn note(sent: &Sent, id: Uuid) -> anyhow::Result<()> {
    let now = Instant::now();
    sent.lock().map_err(|_| anyhow::anyhow!("lock"))?.insert(id, now);
    Ok(())
}

/// A foreign consumer; answers with the time of each message until none has come for a second.
async fn subscribe(nats: &str, sent: Sent) -> anyhow::Result<JoinHandle<Vec<Duration>>> {
    let context = jetstream::new(async_nats::connect(nats).await?);
    let stream = context.get_stream("ANNALS").await?;
    let config = jetstream::consumer::pull::Config {
        ack_policy: jetstream::consumer::AckPolicy::Explicit,
        ..jetstream::consumer::pull::Config::default()
    };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    Ok(tokio::spawn(async move {
        let mut arrived = Vec::new();
        let pause = Duration::from_secs(1);
        while let Ok(Some(Ok(message))) = tokio::time::timeout(pause, messages.next()).await {
            let now = Instant::now();
            let id = message.headers.as_ref().and_then(|headers| headers.get("ce-id"));
            arrived.extend(id.and_then(|id| Some((body_id(&message, id.as_str())?, now))));
            let _ = message.ack_with(AckKind::Ack).await;
        }
        let sent = sent.lock().map(|mut sent| std::mem::take(&mut *sent)).unwrap_or_default();
        arrived
            .into_iter()
            .filter_map(|(id, at)| Some(at.saturating_duration_since(*sent.get(&id)?)))
            .collect()
    }))
}

/// The id that the body was made with.
fn body_id(message: &async_nats::Message, header: &str) -> Option<Uuid> {
    let body: serde_json::Value = serde_json::from_slice(&message.payload).ok()?;
    body["order_id"].as_str().unwrap_or(header).parse().ok()
}

async fn times(seen: JoinHandle<Vec<Duration>>) -> anyhow::Result<Measured> {
    let times = seen.await.context("the subscriber")?;
    anyhow::ensure!(!times.is_empty(), "messages reach the subscriber");
    let whole = Duration::from_secs_f64(count(times.len()) / f64::from(RATE));
    Ok(measured(times, whole))
}
