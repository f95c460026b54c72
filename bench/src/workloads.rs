//! What is measured.

pub(crate) mod accounts;
mod commands;
pub(crate) mod drain;
pub(crate) mod feed;
pub(crate) mod follow;
mod growth;
pub(crate) mod http;
pub(crate) mod inbox;
mod live;
mod many_writers;
mod one_writer;
pub(crate) mod processes;
pub(crate) mod read;
pub(crate) mod rebuild;
mod slow_disk;
mod storm;
mod tail;
mod traces;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use eventstore::EventStore;

use crate::event;
use crate::load::{self, Measured};
use crate::peers::Peers;
use crate::report::Report;
use crate::server::Server;

/// How to measure.
pub(crate) struct Plan<'a> {
    pub(crate) server: &'a Server,
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
    pub(crate) peers: Option<Peers>,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;
type Workload = for<'a> fn(&'a Plan<'a>, &'a mut Report) -> Outcome<'a>;

/// Every workload, by name.
pub(crate) const ALL: &[(&str, Workload)] = &[
    ("many-writers", |plan, report| Box::pin(many_writers::run(plan, report))),
    ("one-writer", |plan, report| Box::pin(one_writer::run(plan, report))),
    ("commands", |plan, report| Box::pin(commands::run(plan, report))),
    ("storm", |plan, report| Box::pin(storm::run(plan, report))),
    ("processes", |plan, report| Box::pin(processes::run(plan, report))),
    ("slow-disk", |plan, report| Box::pin(slow_disk::run(plan, report))),
    ("read", |plan, report| Box::pin(read::run(plan, report))),
    ("tail", |plan, report| Box::pin(tail::run(plan, report))),
    ("drain", |plan, report| Box::pin(drain::run(plan, report))),
    ("inbox", |plan, report| Box::pin(inbox::run(plan, report))),
    ("live", |plan, report| Box::pin(live::run(plan, report))),
    ("follow", |plan, report| Box::pin(follow::run(plan, report))),
    ("feed", |plan, report| Box::pin(feed::run(plan, report))),
    ("http", |plan, report| Box::pin(http::run(plan, report))),
    ("accounts", |plan, report| Box::pin(accounts::run(plan, report))),
    ("rebuild", |plan, report| Box::pin(rebuild::run(plan, report))),
    ("traces", |plan, report| Box::pin(traces::run(plan, report))),
    ("growth", |plan, report| Box::pin(growth::run(plan, report))),
];

/// Appends one event and one outbox row to a stream of its own, again and again.
async fn append(store: &EventStore, tasks: usize, time: Duration) -> anyhow::Result<Measured> {
    let store = store.clone();
    load::run(tasks, time, move |_| {
        let store = store.clone();
        async move {
            store.append(event::append(event::id(), 0)).await?;
            Ok(())
        }
    })
    .await
}

/// The middle one, by rate.
fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}
