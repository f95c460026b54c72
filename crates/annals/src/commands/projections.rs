//! `annals projections`: the read models.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use eventstore::Cursor;
use projections::rebuild::{Progress, rebuild};

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;

pub(super) async fn run(config: &Config, command: cli::Projections) -> anyhow::Result<()> {
    match command {
        cli::Projections::List => list(config).await,
        cli::Projections::Rebuild { name } => run_rebuild(config, &name).await,
    }
}

async fn list(config: &Config) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    let head = store.head().await?;
    answer(&format!("{:<12} {:>7} {:>10} {:>10}", "NAME", "VERSION", "POSITION", "BEHIND"))?;
    for projection in projections::ALL {
        let position =
            Cursor::peek(store.pool(), &projection.cursor_name()).await?.unwrap_or_default();
        let behind = (head.get() - position.get()).max(0);
        let (name, version) = (projection.name, projection.version);
        answer(&format!("{name:<12} {version:>7} {position:>10} {behind:>10}"))?;
    }
    Ok(())
}

async fn run_rebuild(config: &Config, name: &str) -> anyhow::Result<()> {
    let names = || projections::ALL.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
    let projection = projections::ALL
        .iter()
        .find(|projection| projection.name == name)
        .with_context(|| format!("no projection is called {name:?}; there are: {}", names()))?;
    let store = open_log(config).await?;
    let begun = Instant::now();
    let mut reported: Option<Instant> = None;
    let position = rebuild(&store, projection, |Progress { position, head }| {
        if reported.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            tracing::info!(projection.name = name, %position, %head, "rebuilding");
            reported = Some(Instant::now());
        }
    })
    .await?;
    let seconds = begun.elapsed().as_secs_f64();
    answer(&format!("rebuilt {name} from {position} events of the log in {seconds:.1} s"))
}
