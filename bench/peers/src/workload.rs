//! What is measured, the same for every peer.

pub(crate) mod append;
pub(crate) mod command;
mod preload;
mod projection;
mod replay;
mod tail;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::args::Run;
use crate::peer::Log;
use crate::report::Outcome;
use crate::scratch::Scratch;

/// How long the same load runs before it is measured, where no preload fills the tables.
const WARM_UP: Duration = Duration::from_secs(1);

/// Runs any workload on a peer that can do them all.
pub(crate) async fn run_all<P: Log>(scratch: &Scratch, run: &Run) -> Result<Outcome> {
    let settings = run.server().settings;
    let open = P::open(scratch, settings);
    let measured = match run {
        Run::Append(run) => append::run(&open.await?, scratch, run).await,
        Run::Command(run) => command::run(&open.await?, scratch, run).await,
        Run::Replay(run) => replay::run(&open.await?, scratch, run).await,
        Run::Tail(run) => tail::run(&open.await?, scratch, run).await,
        Run::Projection(run) => projection::run::<P::Projector>(scratch, run).await,
    };
    Ok(measured?.with(settings))
}

/// Hands out the numbers of events: each once.
#[derive(Clone, Debug, Default)]
struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn starting_at(first: u64) -> Self {
        Self(Arc::new(AtomicU64::new(first)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
