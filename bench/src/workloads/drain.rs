//! The relay brings an outbox that has grown into a stream, beside a program that publishes as many
//! messages and does nothing else.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::HeaderMap;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Config;
use eventstore::{RecordedEvent, Wakeup};
use relay::{Namespace, Publisher, PublisherConfig, RenderError, Rendered};
use serde::{Deserialize, Serialize};
use testkit::Nats;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::read::peak_mib;
use super::{Plan, median};
use crate::load::Measured;
use crate::report::{Report, Target};
use crate::{event, ground, server};

/// Rows of the outbox that are published.
const ROWS: u32 = 500_000;

/// Rows that wait during an outage.
const WAITING: u32 = 1_000_000;

/// Messages on their way, as the relay has them.
const WINDOW: usize = 1_024;

/// How long the broker is away.
const OUTAGE: Duration = Duration::from_secs(5);

/// What a child process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drained {
    seconds: f64,
    memory_mib: f64,
}

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("An outbox of 500,000 rows is brought into a stream");
    let (mut bare, mut ours, mut memory) = (vec![], vec![], 0.0_f64);
    for _ in 0..plan.rounds {
        let nats = Nats::start_ephemeral()?;
        bare.push(rate(&answer(start(&["publish", &nats.url()], ROWS)?).await?));
        nats.stop()?;
        let database = plan.server.database().await;
        ground::fill(database.url(), i64::from(ROWS)).await?;
        let nats = Nats::start_ephemeral()?;
        let drained = answer(start(&["relay", database.url(), &nats.url()], ROWS)?).await?;
        ours.push(rate(&drained));
        memory = memory.max(drained.memory_mib);
        nats.stop()?;
    }
    let [bare, ours] = [bare, ours].map(median);
    report.rate("bare async publish, messages", bare);
    report.rate("relay, messages", ours);
    let drain = ours.rate_per_s / bare.rate_per_s;
    report.figure("drain / bare publish", drain, "", Target::AtLeast(0.6));
    report.figure("relay resident", memory, "MiB", Target::AtMost(64.0));
    let memory = through_an_outage(plan).await?;
    report.figure("relay resident, 1,000,000 waiting", memory, "MiB", Target::AtMost(64.0));
    Ok(())
}

/// The broker goes away while the relay has just begun; how much memory that takes.
async fn through_an_outage(plan: &Plan<'_>) -> anyhow::Result<f64> {
    let database = plan.server.database().await;
    ground::fill(database.url(), i64::from(WAITING)).await?;
    let mut nats = Nats::start_ephemeral()?;
    let child = start(&["relay", database.url(), &nats.url()], WAITING)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    nats.halt()?;
    tokio::time::sleep(OUTAGE).await;
    nats.restart()?;
    let drained = answer(child).await?;
    nats.stop()?;
    Ok(drained.memory_mib)
}

fn start(arguments: &[&str], rows: u32) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).arg(rows.to_string());
    Ok(command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn()?)
}

async fn answer(child: Child) -> anyhow::Result<Drained> {
    let output = child.wait_with_output().await?;
    serde_json::from_slice(&output.stdout).context("read what the child process says")
}

fn rate(drained: &Drained) -> Measured {
    let rate_per_s = f64::from(ROWS) / drained.seconds;
    Measured { rate_per_s, ..Measured::default() }
}

/// What a child process does: as any process that has the role.
pub(crate) async fn drain(url: &str, nats: &str, rows: u64) -> anyhow::Result<Drained> {
    let store = server::store(url).await?;
    let wakeup = Wakeup::listen(store.pool().clone());
    let config = PublisherConfig::new(nats.parse()?, Namespace::default());
    let publisher = Publisher::new(store, wakeup, config, render);
    let mut state = publisher.state();
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(publisher.run(stop.clone()));
    state.wait_for(|state| u64::try_from(state.position.get()).is_ok_and(|at| at >= rows)).await?;
    let seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    running.await?;
    Ok(Drained { seconds, memory_mib: peak_mib()? })
}

#[expect(clippy::unnecessary_wraps, reason = "it is a Render")]
fn render(event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
    let subject = event::SUBJECT.to_owned();
    Ok(Some(Rendered { subject, body: event.payload.clone() }))
}

/// What another child process does: the same headers, ids, conditions and window, with what the client
/// library has for it.
pub(crate) async fn publish(nats: &str, rows: u64) -> anyhow::Result<Drained> {
    let context =
        ContextBuilder::new().max_ack_inflight(2 * WINDOW).build(async_nats::connect(nats).await?);
    let stream = "ANNALS";
    let config = Config {
        name: stream.to_owned(),
        subjects: vec!["annals.>".to_owned()],
        ..Config::default()
    };
    context.create_stream(config).await?;
    let subject = format!("annals.{}", event::SUBJECT);
    let (mut acks, mut last) = (VecDeque::with_capacity(WINDOW), None);
    let began = Instant::now();
    for expected in 0..rows {
        let id = event::id();
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id.to_string());
        headers.insert("ce-source", format!("urn:uuid:{id}"));
        headers.insert("ce-type", subject.clone());
        headers.insert("ce-subject", event::stream(id).to_string());
        headers.insert("ce-time", "2026-01-01T12:00:00.000000Z");
        headers.insert("ce-sequence", "1");
        headers.insert("ce-position", (expected + 1).to_string());
        headers.insert("ce-commandid", id.to_string());
        headers.insert("ce-correlationid", id.to_string());
        headers.insert("ce-traceparent", event::metadata(id).trace.unwrap_or_default());
        headers.insert("content-type", "application/json");
        let mut message = PublishMessage::build()
            .payload(event::payload(id).into())
            .headers(headers)
            .expected_stream(stream)
            .expected_last_sequence(expected)
            .message_id(id.to_string());
        if let Some(last) = last.replace(id) {
            message = message.expected_last_message_id(last.to_string());
        }
        if acks.len() == WINDOW
            && let Some(oldest) = acks.pop_front()
        {
            confirm(oldest).await?;
        }
        acks.push_back(context.send_publish(subject.clone(), message).await?);
    }
    for ack in acks {
        confirm(ack).await?;
    }
    Ok(Drained { seconds: began.elapsed().as_secs_f64(), memory_mib: peak_mib()? })
}

async fn confirm(
    ack: impl IntoFuture<
        Output = Result<
            async_nats::jetstream::publish::PublishAck,
            async_nats::jetstream::context::PublishError,
        >,
    >,
) -> anyhow::Result<()> {
    anyhow::ensure!(!ack.await?.duplicate, "no message was published twice");
    Ok(())
}
