//! `annals events tail`: the log as it grows.

use eventstore::{EventStore, Filter, Position, Wakeup};
use futures_util::TryStreamExt;

use super::answer;
use super::line::line;
use crate::signals::stop_token;

pub(super) async fn tail(
    store: &EventStore,
    after: Option<i64>,
    types: Vec<String>,
    follow: bool,
    json: bool,
) -> anyhow::Result<()> {
    let after = match after {
        Some(position) => Position::new(position),
        None if follow => store.head().await?,
        None => Position::START,
    };
    let filter = if types.is_empty() { Filter::everything() } else { Filter::types(types) };
    if !follow {
        let mut events = store.read_log(filter, after, Position::MAX);
        while let Some(event) = events.try_next().await? {
            answer(&line(event, json)?)?;
        }
        return Ok(());
    }
    let stop = stop_token()?;
    let wakeup = Wakeup::listen(store.pool().clone());
    let mut subscription = store.subscribe(filter, after, wakeup);
    loop {
        let page = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            page = subscription.next() => page?,
        };
        page.events.into_iter().try_for_each(|event| answer(&line(event, json)?))?;
    }
}
