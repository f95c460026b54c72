//! Load, decide, append on aggregates that exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventstore::aggregate::{Command, DomainEvent, Repository, Settings};
use eventstore::evolution::Evolution;
use eventstore::{Append, CommandId, EventStore, ExpectedVersion, Fingerprint, NewEvent, StreamId};

use super::{Plan, median};
use crate::account::Account;
use crate::load::{self, Measured};
use crate::report::{Report, Target};
use crate::{by_hand, event, peers, server};

const AGGREGATES: u64 = 1_000;
const EVENTS: i64 = 20;
const TASKS: usize = 16;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Commands: load, decide, append on 1,000 aggregates of 20 events, 16 tasks");
    let (mut ours, mut hand) = (vec![], vec![]);
    let names: Vec<String> = (0..AGGREGATES).map(|number| format!("account-{number}")).collect();
    for _ in 0..plan.rounds {
        let database = plan.server.database().await;
        let store = server::store(database.url()).await?;
        fill(&store, &names).await?;
        let accounts = Repository::new(store, Arc::new(Evolution::default()), Settings::default());
        ours.push(execute(accounts, TASKS, AGGREGATES, plan.time).await?);

        let database = plan.server.database().await;
        let pool = server::pool(database.url()).await?;
        by_hand::prepare(&pool).await?;
        by_hand::fill(&pool, &names, EVENTS).await?;
        let (next, names) = (Arc::new(AtomicU64::new(0)), Arc::new(names.clone()));
        let executing = load::run(TASKS, plan.time, move |_| {
            let (pool, next, names) = (pool.clone(), Arc::clone(&next), Arc::clone(&names));
            async move { by_hand::command(&pool, &names[scattered(&next)]).await }
        });
        hand.push(executing.await?);
    }
    let [ours, hand] = [ours, hand].map(median);
    report.rate("repository, 16 tasks", ours);
    report.rate("by hand, 16 tasks", hand);
    report.figure(
        "repository / by hand",
        ours.rate_per_s / hand.rate_per_s,
        "",
        Target::AtLeast(6.0),
    );
    let Some(programs) = &plan.peers else { return Ok(()) };
    for peer in peers::ALL {
        let options = ["--tasks", "16", "--seconds", &plan.time.as_secs().to_string()];
        let options = options.map(str::to_owned);
        let answer = programs.run(peer, "command", &plan.server.url(), &options).await?;
        report.rate(format!("{peer}, 16 tasks"), answer.measured());
    }
    Ok(())
}

/// Commands on the first `aggregates` accounts.
pub(super) async fn execute(
    accounts: Repository<Account>,
    tasks: usize,
    aggregates: u64,
    time: std::time::Duration,
) -> anyhow::Result<Measured> {
    let next = Arc::new(AtomicU64::new(0));
    load::run(tasks, time, move |_| {
        let (accounts, next) = (accounts.clone(), Arc::clone(&next));
        async move {
            let number = scattered(&next) % usize::try_from(aggregates)?;
            let id = StreamId::new(format!("account-{number}"))?;
            let command = event::id();
            let command = Command {
                id: CommandId::new(command),
                fingerprint: Fingerprint::of(b"deposit"),
                metadata: event::metadata(command),
            };
            let decide =
                |account: &Account| Ok::<_, std::convert::Infallible>(vec![account.deposit()]);
            accounts.execute(&id, &command, decide).await?;
            Ok(())
        }
    })
    .await
}

/// Each account gets its events.
async fn fill(store: &EventStore, names: &[String]) -> anyhow::Result<()> {
    for names in names.chunks(20) {
        let command = event::id();
        let mut append =
            Append::new(CommandId::new(command), Fingerprint::of(b""), event::metadata(command));
        for name in names {
            let stream = StreamId::new(name.as_str())?;
            append.expectations.push((stream.clone(), ExpectedVersion::NO_STREAM));
            let deposit = Account::default().deposit();
            let payload = deposit.encode().map_err(|error| anyhow::anyhow!(error))?;
            let event = NewEvent::new(stream, deposit.event_type(), payload);
            append.events.extend((0..EVENTS).map(|_| event.clone()));
        }
        store.append(append).await?;
    }
    Ok(())
}

/// Numbers below 1,000 in no order.
fn scattered(next: &AtomicU64) -> usize {
    let number = next.fetch_add(1, Ordering::Relaxed);
    usize::try_from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).unwrap_or_default() % 1_000
}
