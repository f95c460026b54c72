//! `annals events`: what happened.

mod diff;
mod export;
mod import;
mod line;
mod progress;
mod show;
mod tail;

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use application::audit;
use eventstore::{EventStore, StreamId};

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;

pub(super) async fn run(config: &Config, command: cli::Events) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    match command {
        cli::Events::Tail { after, types, no_follow, json } => {
            known_types(&store, &types).await?;
            tail::tail(&store, after, types, !no_follow, json).await
        }
        cli::Events::Show { event: Some(id), json, .. } => show::event(&store, id, json).await,
        cli::Events::Show { stream, as_of, json, .. } => {
            let stream = stream_id(&stream.unwrap_or_default())?;
            show::stream(&store, &stream, as_of, json).await
        }
        cli::Events::Diff { stream, from, to, json } => {
            diff::diff(&store, &stream_id(&stream)?, (from, to), json).await
        }
        cli::Events::Export(request) => export::export(store, request).await,
        cli::Events::Import { file } => import::import(&store, &file).await,
    }
}

fn stream_id(text: &str) -> anyhow::Result<StreamId> {
    StreamId::new(text).context("cannot look for this stream")
}

async fn known_types(store: &EventStore, types: &[String]) -> anyhow::Result<()> {
    let known = audit::event_types(store).await?;
    match types.iter().find(|&name| !known.contains(name)) {
        Some(unknown) => {
            bail!("no event type is called {unknown:?}; there are: {}", listed(known))
        }
        None => Ok(()),
    }
}

fn listed(names: BTreeSet<String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
