//! `append`: tasks that append one event each to a stream of its own, again and again.
//!
//! Measured is the time from asking until the peer says that the event is durable, waiting for one
//! of the connections included. There is nothing to load, so the call is the one that appends
//! without loading; it still refuses a stream that is not new, unless `--unchecked` is asked for.

use anyhow::Result;

use super::{Numbers, WARM_UP};
use crate::args::Append;
use crate::load;
use crate::peer::Peer;
use crate::report::Measured;
use crate::scratch::Scratch;

pub(crate) async fn run<P: Peer>(peer: &P, scratch: &Scratch, run: &Append) -> Result<Measured> {
    let (peer, numbers) = (peer.clone(), Numbers::default());
    // The attempts after a conflict go to other streams, which cannot make it easier: each stream
    // is new and nobody else's.
    let append = move || {
        let (peer, number) = (peer.clone(), numbers.next());
        async move { peer.append(P::new_id(), number).await }
    };
    load::run(run.tasks, WARM_UP, append.clone()).await?;
    scratch.settle().await?;
    let load = load::run(run.tasks, run.load.duration(), append).await?;
    Ok(Measured::of_load(run.tasks, &load))
}
