//! `command`: tasks that load a random aggregate from its events, decide, and append one event.
//!
//! Measured is the time from the command until its event is durable, with all attempts that a
//! conflict made necessary. Every command loads the whole aggregate: no snapshots and no caches,
//! though some peers have them, because what is compared is reading and appending.

use std::sync::Arc;

use anyhow::Result;

use super::{Numbers, preload};
use crate::args::CommandRun;
use crate::load;
use crate::peer::Peer;
use crate::report::Measured;
use crate::scratch::Scratch;

pub(crate) async fn run<P: Peer>(
    peer: &P,
    scratch: &Scratch,
    run: &CommandRun,
) -> Result<Measured> {
    let history = u64::from(run.history);
    let events = u64::from(run.aggregates) * history;
    let aggregates: Arc<[_]> = preload::run(peer, scratch, events, history).await?.into();
    let (peer, numbers) = (peer.clone(), Numbers::starting_at(events));
    let load = load::run(run.tasks, run.load.duration(), move || {
        let (peer, number) = (peer.clone(), numbers.next());
        let aggregate = aggregates[fastrand::usize(..aggregates.len())];
        async move { peer.command(aggregate, number).await }
    })
    .await?;
    Ok(Measured::of_load(run.tasks, &load))
}
