//! A subscriber behind writers that write as fast as they can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventstore::{Filter, Position, Wakeup};

use super::Plan;
use crate::load::{self, measured};
use crate::report::{Report, Target};
use crate::{event, peers, server};

const WRITERS: usize = 8;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Live tail: 8 writers flat out and one subscriber");
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    let acknowledged = Arc::new(Mutex::new(HashMap::<i64, Instant>::new()));
    let wakeup = Wakeup::listen(store.pool().clone());
    let mut subscription = store.subscribe(Filter::everything(), Position::START, wakeup);
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Ok(Ok(page)) =
            tokio::time::timeout(Duration::from_secs(2), subscription.next()).await
        {
            let now = Instant::now();
            seen.extend(page.events.into_iter().map(|event| (event.position.get(), now)));
        }
        seen
    });
    let writer = {
        let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
        load::run(WRITERS, plan.time, move |_| {
            let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
            async move {
                let receipt = store.append(event::append(event::id(), 0)).await?;
                let mut acknowledged = acknowledged.lock().map_err(|_| anyhow::anyhow!("lock"))?;
                acknowledged.insert(receipt.position.get(), Instant::now());
                Ok(())
            }
        })
    };
    report.rate("8 writers", writer.await?);
    let seen = reading.await?;
    let acknowledged =
        std::mem::take(&mut *acknowledged.lock().map_err(|_| anyhow::anyhow!("lock"))?);
    let is_in_order = seen.iter().zip(1..).all(|((position, _), expected)| *position == expected);
    let missed = acknowledged.len().abs_diff(seen.len());
    let delays = seen.iter().filter_map(|(position, at)| {
        Some(at.saturating_duration_since(*acknowledged.get(position)?))
    });
    let delays = measured(delays.collect(), Duration::from_secs(1));
    report.note(format!("seen {} of {}, in order: {is_in_order}", seen.len(), acknowledged.len()));
    report.figure("missed or repeated", load::count(missed), "", Target::AtMost(0.0));
    report.figure("out of order", f64::from(u8::from(!is_in_order)), "", Target::AtMost(0.0));
    report.figure("behind in the median", delays.p50_ms, "ms", Target::AtMost(50.0));
    let Some(programs) = &plan.peers else { return Ok(()) };
    for peer in peers::ALL {
        let options = ["--seconds", &plan.time.as_secs().to_string()].map(str::to_owned);
        let answer = programs.run(peer, "tail", &plan.server.url(), &options).await?;
        report.note(match (&answer.unsupported, answer.missed) {
            (Some(why), _) => format!("{peer}: {why}"),
            (None, missed) => format!(
                "{peer}: missed {}, behind {:.1} ms in the median",
                missed.unwrap_or_default(),
                answer.delay_p50_ms.unwrap_or_default()
            ),
        });
    }
    Ok(())
}
