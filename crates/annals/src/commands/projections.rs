//! `annals projections`: the read models.

mod making;
mod show;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use application::audit::AsOf;
use eventstore::{EventStore, Moment};
use projections::operations::{self, Redriven};
use projections::overview::overview;
use projections::{Projection, rebuild, why};

use super::{answer, open_log};
use crate::cli::{self, By};
use crate::config::Config;
use crate::projector;

pub(super) async fn run(config: &Config, command: cli::Projections) -> anyhow::Result<ExitCode> {
    use cli::Projections as P;
    let store = open_log(config).await?;
    let pool = store.pool();
    match command {
        P::List { json } => show::list(&overview(&store, projections::ALL).await?, json)?,
        P::Show { name, json } => show::show(&store, find(&name)?, json).await?,
        P::Rebuild { name, pace, hold, by } => {
            return making::rebuild(&store, find(&name)?, &pace, hold, &by).await;
        }
        P::Switch { name, by } => return making::switch(&store, find(&name)?, false, &by).await,
        P::SwitchBack { name, by } => return making::switch(&store, find(&name)?, true, &by).await,
        P::Verify { name, pace, json } => {
            return making::verify(&store, find(&name)?, &pace, json).await;
        }
        P::Pause { name, rebuild: making, by } => {
            set_paused(&store, find(&name)?, making, true, &by).await?;
        }
        P::Resume { name, rebuild: making, by } => {
            set_paused(&store, find(&name)?, making, false, &by).await?;
        }
        P::Cancel { name, by } => {
            rebuild::cancel(pool, find(&name)?, &by.by).await?;
            answer(&format!("the making of {name} is given up, the live one is as it was"))?;
        }
        P::Discard { name, by } => {
            rebuild::discard(pool, find(&name)?, &by.by).await?;
            answer(&format!("what the last switch of {name} replaced is dropped"))?;
        }
        P::Retry { name, key: Some(key), by, .. } => {
            return retry(&store, find(&name)?, &[key], &by).await;
        }
        P::Retry { name, key: None, by, .. } => {
            let projection = find(&name)?;
            let parked = operations::parked_keys(pool, projection).await?;
            let keys: Vec<_> = parked.into_iter().map(|parked| parked.key).collect();
            return retry(&store, projection, &keys, &by).await;
        }
        P::Skip { name, key, reason, by } => {
            if reason.trim().is_empty() {
                bail!("say why with --reason: the read model is no longer what the log says");
            }
            let source = projector::source(store.clone());
            let redriven = operations::skip(&source, find(&name)?, &key, &reason, &by.by).await?;
            return said(&key, &redriven);
        }
        P::AsOf { name, key, moment } => as_of(&store, find(&name)?, &key, moment).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `annals why`: what holds a read model back.
pub(super) async fn why(config: &Config, name: &str) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    for finding in why::why(&store, find(name)?).await? {
        answer(&format!("{}\n  {}", finding.what, finding.remedy))?;
    }
    Ok(())
}

fn find(name: &str) -> anyhow::Result<&'static Projection> {
    let names = || projections::ALL.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
    let known = projections::ALL.iter().find(|projection| projection.name == name).copied();
    known.with_context(|| format!("no projection is called {name:?}; there are: {}", names()))
}

async fn set_paused(
    store: &EventStore,
    projection: &'static Projection,
    is_making: bool,
    is_paused: bool,
    By { by }: &By,
) -> anyhow::Result<()> {
    let name = projection.name;
    if is_making {
        rebuild::set_paused(store.pool(), projection, is_paused, by).await?;
    } else {
        operations::set_paused(store.pool(), projection, is_paused, by).await?;
    }
    let what = if is_making { format!("the making of {name}") } else { name.to_owned() };
    answer(&format!("{what} {}", if is_paused { "rests" } else { "goes on" }))
}

async fn retry(
    store: &EventStore,
    projection: &'static Projection,
    keys: &[String],
    By { by }: &By,
) -> anyhow::Result<ExitCode> {
    let source = projector::source(store.clone());
    let mut code = ExitCode::SUCCESS;
    if keys.is_empty() {
        answer("no key is parked")?;
    }
    for key in keys {
        let redriven = operations::retry(&source, projection, key, by).await?;
        if said(key, &redriven)? != ExitCode::SUCCESS {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn said(key: &str, redriven: &Redriven) -> anyhow::Result<ExitCode> {
    match redriven {
        Redriven::Free(events) => {
            let events = count(*events, "event");
            answer(&format!("{key}: {events} took effect, it is not parked any more"))?;
            Ok(ExitCode::SUCCESS)
        }
        Redriven::Stuck { events, error } => {
            let events = count(*events, "event");
            answer(&format!("{key}: {events} took effect, the next one not: {error}"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// So many of something, as people say it.
fn count(number: impl Into<i128>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

async fn as_of(
    store: &EventStore,
    projection: &'static Projection,
    key: &str,
    moment: AsOf,
) -> anyhow::Result<()> {
    let name = projection.name;
    let moment = match moment {
        AsOf::Time(time) => Moment::Time(time),
        AsOf::Position(position) => Moment::Position(position),
        AsOf::Version(_) => bail!("a read model has no versions: give a time or a position"),
    };
    let read =
        projection.as_of.with_context(|| format!("{name} cannot say what it held earlier"))?;
    let source = projector::source(store.clone());
    match read(&source, projection, key, moment).await? {
        Some(document) => answer(&serde_json::to_string_pretty(&document)?),
        None => bail!("{name} held nothing of {key} then"),
    }
}
