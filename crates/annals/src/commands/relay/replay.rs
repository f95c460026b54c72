//! `annals relay replay`: what the public was told, once more for one subscriber.

use std::process::ExitCode;

use adapters::{SystemClock, TimeOrderedIds};
use anyhow::bail;
use application::audit::Range;
use application::ports::{Clock as _, IdSource as _};
use domain::Message;
use eventstore::Position;
use relay::replay::{Replayed, Request, Subject, replay};

use crate::cli::Replay;
use crate::commands::{answer, open_log};
use crate::config::Config;
use crate::contract;

pub(super) async fn run(config: &Config, given: &Replay) -> anyhow::Result<ExitCode> {
    let namespace = config.nats.namespace()?;
    let subject = Subject::new(&given.to, &namespace)?;
    known_types(&given.types)?;
    let store = open_log(config).await?;
    let range = Range {
        after: given.after.map(Position::new),
        to: given.until.map(Position::new),
        since: given.since,
        until: None,
    };
    let (after, until) = range.positions(&store).await?;
    let request = Request { subject, after, until, types: given.types.clone(), rate: given.rate };
    let told = contract::told(store, namespace);
    let (id, now) = (TimeOrderedIds.next(), SystemClock.now());
    let replayed = replay(&config.nats.broker()?, told, &request, id, now).await?;
    let Replayed { id, stream, is_made, count, sha256, .. } = replayed;
    let made = if is_made { ", which was made for it" } else { "" };
    answer(&format!(
        "replay {id}: {count} messages and a last one on {}, kept by stream {stream}{made}\n\
         sha256 {sha256}",
        request.subject
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn known_types(types: &[String]) -> anyhow::Result<()> {
    let known: Vec<String> = Message::types().map(|known| known.to_string()).collect();
    let is_known = |wanted: &String| {
        known.iter().any(|known| {
            known == wanted || known.rsplit_once(".v").is_some_and(|(name, _)| name == wanted)
        })
    };
    match types.iter().find(|wanted| !is_known(wanted)) {
        None => Ok(()),
        Some(unknown) => {
            bail!("there is no message of type {unknown:?}; there are: {}", known.join(", "))
        }
    }
}
