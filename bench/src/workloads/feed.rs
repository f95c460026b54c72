//! The feed: 2,000 subscribers that want everything, served by one process.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use api::feed::{Feed, FeedMetrics, Message, Settings};
use eventstore::{EventStore, RecordedEvent, Wakeup};
use memchr::memmem::Finder;
use projections::engine::Reached;
use projections::freshness::Freshness;
use prometheus::Registry;
use relay::cloud_event::{Structured, structured};
use relay::{Namespace, RenderError, Rendered};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Plan, follow};
use crate::load::count;
use crate::report::{Report, Target};
use crate::{event, orders, server};

const SUBSCRIBERS: u32 = 2_000;

/// Events a second.
const RATE: u32 = 200;

/// How long they happen.
const TIME: Duration = Duration::from_secs(30);

/// Longer than anything takes to be told.
const LIMIT: Duration = Duration::from_secs(30);

/// Milliseconds that are told apart; what takes longer counts as that.
const LONGEST_MS: usize = 30_000;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Feed: 2,000 subscribers to everything, 200 events a second for 30 seconds");
    raise_file_limit(u64::from(SUBSCRIBERS) + 1_000)?;
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    // The first of everything, so that what it takes is not counted as that of the connections.
    store.append(orders::placed(event::id())?).await?;
    let (child, address) = start(database.url()).await?;
    let sent = Arc::new(Sent::new());
    let mut subscribers = JoinSet::new();
    let warm = connect(address, &sent, 0).await?;
    let before = resident_kib(&child)?;
    let mut connected = vec![warm];
    for _ in 1..SUBSCRIBERS {
        connected.push(connect(address, &sent, 0).await?);
    }
    let last = i64::from(RATE) * i64::try_from(TIME.as_secs())?;
    for subscriber in connected {
        subscribers.spawn(subscriber.read(last));
    }
    let idle = resident_kib(&child)?;
    let appended = append(&store, &sent, last).await?;
    let mut histogram = vec![0_u64; LONGEST_MS];
    let mut peak = idle;
    let over = tokio::time::Instant::now() + LIMIT;
    while let Ok(Some(read)) = tokio::time::timeout_at(over, subscribers.join_next()).await {
        let told = read??;
        told.into_iter().zip(&mut histogram).for_each(|(more, sum)| *sum += u64::from(more));
        peak = peak.max(resident_kib(&child)?);
    }
    let expected = u64::from(SUBSCRIBERS) * last.unsigned_abs();
    let told: u64 = histogram.iter().sum();
    report
        .note(format!("{appended} appends, {told} messages received by {SUBSCRIBERS} connections"));
    report.figure("lost", count(usize::try_from(expected - told)?), "", Target::AtMost(0.0));
    report.note(format!("p50 {:.0} ms", percentile(&histogram, 50)));
    report.figure(
        "from the answer to the append, p99",
        percentile(&histogram, 99) / 1_000.0,
        "s",
        Target::AtMost(0.5),
    );
    let each = |kib: f64| (kib - before).max(0.0) / f64::from(SUBSCRIBERS);
    report.note(format!("{:.1} KiB a connection before anything happened", each(idle)));
    report.figure("memory a connection", each(peak), "KiB", Target::AtMost(64.0));
    Ok(())
}

/// When each position was acknowledged.
struct Sent {
    since: Instant,
    /// Microseconds after that, 0 before.
    positions: Vec<AtomicU64>,
}

impl Sent {
    fn new() -> Self {
        let events = u64::from(RATE) * (TIME.as_secs() + 10);
        Self { since: Instant::now(), positions: (0..events).map(|_| AtomicU64::new(0)).collect() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn at(&self, position: i64) -> Option<&AtomicU64> {
        self.positions.get(usize::try_from(position).ok()?)
    }
}

/// Appends evenly until position `last` is there; answers with how often.
async fn append(store: &EventStore, sent: &Arc<Sent>, last: i64) -> anyhow::Result<usize> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut running = JoinSet::new();
    // One was there before.
    for _ in 1..last {
        ticks.tick().await;
        let (store, sent) = (store.clone(), Arc::clone(sent));
        running.spawn(async move {
            let receipt = store.append(orders::placed(event::id())?).await?;
            if let Some(at) = sent.at(receipt.position.get()) {
                at.store(sent.now(), Ordering::Release);
            }
            anyhow::Ok(())
        });
    }
    let mut appended = 0;
    while let Some(done) = running.join_next().await {
        done??;
        appended += 1;
    }
    Ok(appended)
}

/// A subscriber that looks at the ids and at nothing else.
struct Subscriber {
    stream: TcpStream,
    sent: Arc<Sent>,
    position: i64,
}

async fn connect(address: SocketAddr, sent: &Arc<Sent>, after: i64) -> anyhow::Result<Subscriber> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /v1/events?after={after} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    ensure!(&status == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&status));
    Ok(Subscriber { stream, sent: Arc::clone(sent), position: after })
}

impl Subscriber {
    /// Reads until the message at `last`; answers with how many took how many milliseconds. It fails
    /// if one is missing, or comes twice.
    async fn read(mut self, last: i64) -> anyhow::Result<Vec<u32>> {
        let mut histogram = vec![0; 64];
        // Behind the blank line of the message before, or of the head, or of the size of a chunk.
        let finder = Finder::new(b"\nid: ");
        let mut buffer = Vec::with_capacity(16 * 1_024);
        while self.position < last {
            ensure!(self.stream.read_buf(&mut buffer).await? > 0, "the stream has ended");
            let now = self.sent.now();
            let mut rest = buffer.as_slice();
            while let Some(found) = finder.find(rest) {
                let id = &rest[found + 5..];
                let Some(end) = memchr::memchr(b'\n', id) else {
                    rest = &rest[found..];
                    break;
                };
                let position: i64 = std::str::from_utf8(&id[..end])?.parse()?;
                rest = &id[end..];
                if position == self.position {
                    continue; // Where it begins, or a sign of life.
                }
                ensure!(position == self.position + 1, "{position} after {}", self.position);
                self.position = position;
                self.note(&mut histogram, now);
            }
            // What may be the beginning of the next one.
            let keep = if finder.find(rest).is_some() { rest.len() } else { rest.len().min(4) };
            let begin = buffer.len() - keep;
            buffer.drain(..begin);
        }
        Ok(histogram)
    }

    fn note(&self, histogram: &mut Vec<u32>, now: u64) {
        // It may have come before the answer to the append, or before anything was measured.
        let sent = self.sent.at(self.position).map_or(0, |at| at.load(Ordering::Acquire));
        let took_us = if sent == 0 { 0 } else { now.saturating_sub(sent) };
        let millis = usize::try_from(took_us / 1_000).unwrap_or(usize::MAX).min(LONGEST_MS - 1);
        if histogram.len() <= millis {
            histogram.resize(millis + 1, 0);
        }
        histogram[millis] += 1;
    }
}

fn percentile(histogram: &[u64], percent: u64) -> f64 {
    let wanted = histogram.iter().sum::<u64>() * percent / 100;
    let mut seen = 0;
    let millis = histogram.iter().position(|more| {
        seen += more;
        seen > wanted
    });
    count(millis.unwrap_or(histogram.len()) + 1)
}

async fn start(url: &str) -> anyhow::Result<(Child, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve-feed", url]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let output = child.stdout.take().context("its output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    Ok((child, line.trim().parse().context("read where it serves")?))
}

fn resident_kib(child: &Child) -> anyhow::Result<f64> {
    let id = child.id().context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.parse()?)
}

/// What a child process does: serves as any process of the role would.
#[expect(clippy::print_stdout, reason = "where it serves is its answer")]
pub(crate) async fn serve(url: &str) -> anyhow::Result<()> {
    raise_file_limit(u64::from(SUBSCRIBERS) + 1_000)?;
    let store = server::store(url).await?;
    projections::prepare(store.pool(), projections::ALL).await?;
    let feed = feed(&store, &Registry::new())?;
    tokio::spawn(feed.clone().run(Wakeup::listen(store.pool().clone()), CancellationToken::new()));
    let freshness = Freshness::new(store.pool().clone(), Reached::default());
    let (address, serving) = follow::serve(&store, freshness, feed).await?;
    println!("{address}");
    Ok(serving.await?)
}

/// The feed of the log of `store`, which tells what the relay would publish.
pub(super) fn feed(store: &EventStore, registry: &Registry) -> anyhow::Result<Feed> {
    let (log, namespace) = (store.log_id(), Namespace::default());
    let render = Arc::new(move |event: &RecordedEvent| {
        let told = structured(&namespace, log, event, &|event: &RecordedEvent| {
            let events = application::decode(event).map_err(RenderError::new)?;
            let Some(message) = events.iter().find_map(domain::Message::of) else {
                return Ok(None);
            };
            let body = message.encode().map_err(RenderError::new)?;
            Ok(Some(Rendered { subject: message.payload_type().to_string(), body }))
        })?;
        Ok(told.map(|Structured { message_type, json }| Message { message_type, json }))
    });
    let metrics = FeedMetrics::register(registry)?;
    Ok(Feed::new(store.clone(), render, Settings::default(), metrics))
}

fn raise_file_limit(files: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < files) {
        bail!("{files} open files are needed, and {maximum:?} are allowed");
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })?)
}
