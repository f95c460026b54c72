//! Makes a read model in this process, and shows how far it is.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use eventstore::{EventStore, Wakeup};
use projections::comparison::Comparison;
use projections::rebuild::{self, Options, Progress, Request};
use projections::{Engine, Projection, Worker, verify as verifying};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::answer;
use super::show::compared;
use crate::cli::{By, Pace};
use crate::projector;
use crate::signals::stop_token;

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(250);

impl From<&Pace> for Options {
    fn from(pace: &Pace) -> Self {
        let slowdown = (!pace.full_speed).then_some(pace.slowdown);
        Self { lanes: pace.lanes, slowdown, ..Self::default() }
    }
}

pub(super) async fn rebuild(
    store: &EventStore,
    projection: &'static Projection,
    pace: &Pace,
    hold: bool,
    By { by }: &By,
) -> anyhow::Result<ExitCode> {
    let (stop, worker) = (stop_token()?, projector::worker());
    let request = Request { projection, worker: &worker, by };
    let id = rebuild::begin(store.pool(), request, Options { hold, ..pace.into() }).await?;
    follow(store, projection, worker, id, "made anew", &stop).await
}

/// Makes live what was made and held, or `back` what the last switch replaced.
pub(super) async fn switch(
    store: &EventStore,
    projection: &'static Projection,
    back: bool,
    By { by }: &By,
) -> anyhow::Result<ExitCode> {
    let (stop, worker) = (stop_token()?, projector::worker());
    let request = Request { projection, worker: &worker, by };
    let id = if back {
        rebuild::switch_back(store.pool(), request).await?
    } else {
        rebuild::release(store.pool(), request).await?
    };
    follow(store, projection, worker, id, "brought", &stop).await
}

pub(super) async fn verify(
    store: &EventStore,
    projection: &'static Projection,
    pace: &Pace,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (stop, worker) = (stop_token()?, projector::worker());
    let engine = Running::start(store, worker.clone());
    let request = Request { projection, worker: &worker, by: "verify" };
    let (mut bar, mut made) = (Bar::new(projection), None);
    let compared_with = verifying::verify(store.pool(), request, pace.into(), |progress| {
        made = Some(progress.generation);
        bar.draw(progress);
    });
    let comparison = tokio::select! {
        comparison = compared_with => comparison,
        () = stop.cancelled() => {
            engine.stop().await;
            bar.end();
            if let Some(id) = made {
                rebuild::drop_verified(store.pool(), projection, id).await?;
            }
            bail!("stopped: nothing is proved");
        }
    };
    engine.stop().await;
    bar.end();
    let comparison: Comparison = comparison?;
    if json {
        answer(&serde_json::to_string(&comparison)?)?;
    } else {
        let is = if comparison.is_equal() { "is" } else { "is not" };
        answer(&format!("{} {is} what the log says", projection.name))?;
        compared(&comparison)?;
    }
    Ok(if comparison.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An engine that keeps nothing live, and makes what its worker is to make.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(store: &EventStore, worker: Worker) -> Self {
        let pool = store.pool().clone();
        let source = projector::source(store.clone());
        let (wakeup, changed) = (Wakeup::listen(pool.clone()), projections::engine::changes(pool));
        let engine = Engine::only_making(source, projections::ALL, worker, wakeup, changed);
        let stop = CancellationToken::new();
        let task = tokio::spawn(engine.run(stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// Works on the generation `id` until it is live or made; what is not finished is left to others.
/// `what` is done to it, for people.
async fn follow(
    store: &EventStore,
    projection: &'static Projection,
    worker: Worker,
    id: i64,
    what: &str,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let engine = Running::start(store, worker);
    let mut bar = Bar::new(projection);
    let progress = loop {
        let Some(progress) = rebuild::progress(store.pool(), id).await? else {
            bar.end();
            engine.stop().await;
            bail!("somebody has given the making of {} up", projection.name);
        };
        if progress.state != "building" {
            break progress;
        }
        bar.draw(&progress);
        tokio::select! {
            () = stop.cancelled() => {
                bar.end();
                engine.stop().await;
                let name = projection.name;
                answer(&format!(
                    "left to the projectors at position {}; `annals projections cancel {name}` gives it up",
                    progress.position
                ))?;
                return Ok(ExitCode::from(130));
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    };
    bar.draw_last(&progress);
    engine.stop().await;
    let (name, seconds) = (projection.name, begun.elapsed().as_secs_f64());
    let position = progress.position;
    if let Some(comparison) = &progress.comparison {
        compared(comparison)?;
    }
    answer(&match progress.state.as_str() {
        "live" => format!(
            "{name} is {what} up to position {position} in {seconds:.1} s, and live as generation {id}"
        ),
        _ => format!(
            "{name} is {what} up to position {position} in {seconds:.1} s; `annals projections switch {name}` makes it live"
        ),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// How far it is, on one line of the terminal, or now and then on a line of its own.
struct Bar {
    name: &'static str,
    is_terminal: bool,
    drawn: Option<Instant>,
}

impl Bar {
    fn new(projection: &Projection) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { name: projection.name, is_terminal, drawn: None }
    }

    fn draw(&mut self, progress: &Progress) {
        let pause = if self.is_terminal { LOOK } else { Duration::from_secs(5) };
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= pause) {
            self.drawn = Some(Instant::now());
            self.print(progress);
        }
    }

    /// Draws where it ended.
    fn draw_last(&mut self, progress: &Progress) {
        self.drawn = Some(Instant::now());
        self.print(progress);
        self.end();
    }

    fn print(&self, progress: &Progress) {
        let line = line(self.name, progress);
        let mut out = std::io::stderr().lock();
        let _ =
            if self.is_terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    fn end(&self) {
        if self.is_terminal && self.drawn.is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn line(name: &str, progress: &Progress) -> String {
    const WIDTH: usize = 30;
    let done = progress.done();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to WIDTH")]
    let full = ((done * 30.0) as usize).min(WIDTH);
    let (full, empty) = ("█".repeat(full), "░".repeat(WIDTH - full));
    let rate = progress.rate.filter(|rate| *rate >= 1.0);
    let rate = rate.map(|rate| format!("  {rate:.0} positions/s")).unwrap_or_default();
    let left =
        progress.left().map(|left| format!("  {} s left", left.as_secs())).unwrap_or_default();
    let paused = if progress.paused { "  paused" } else { "" };
    let trouble = progress.trouble.as_ref().map(|trouble| format!("  {trouble}"));
    let (percent, trouble) = (done * 100.0, trouble.unwrap_or_default());
    format!("{name} {full}{empty} {percent:5.1} %{rate}{left}{paused}{trouble}")
}
