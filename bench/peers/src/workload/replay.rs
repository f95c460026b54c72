//! `replay`: reads and decodes all events once, in the order of the log, through the peer's API.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::preload;
use crate::args::Replay;
use crate::peer::Log;
use crate::report::{Measured, rate};
use crate::scratch::Scratch;

const STREAM_LENGTH: u64 = 20;

pub(super) async fn run<P: Log>(peer: &P, scratch: &Scratch, run: &Replay) -> Result<Measured> {
    let events = u64::from(run.events);
    preload::run(peer, scratch, events, STREAM_LENGTH).await?;
    let start = Instant::now();
    let read = peer.replay().await?;
    let elapsed = start.elapsed();
    ensure!(read == events, "the peer has {events} events and read {read}");
    Ok(Measured {
        rate_per_s: Some(rate(usize::try_from(read)?, elapsed)),
        events: Some(read),
        ..Measured::default()
    })
}
