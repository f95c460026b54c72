//! `annals events diff`: what changed in a stream between two moments.

use application::audit::{AsOf, Change, Difference, StateAt, difference};
use eventstore::{EventStore, StreamId};
use serde_json::Value;

use super::answer;

pub(super) async fn diff(
    store: &EventStore,
    stream: &StreamId,
    (from, to): (AsOf, AsOf),
    json: bool,
) -> anyhow::Result<()> {
    let difference = difference(store, stream, (from, to), usize::MAX).await?;
    if json {
        return answer(&serde_json::to_string_pretty(&difference)?);
    }
    let Difference { from: before, to: after, changes, events, .. } = difference;
    answer(&state("from", from, &before)?)?;
    answer(&state("to", to, &after)?)?;
    if changes.is_empty() {
        return answer("nothing differs");
    }
    answer("what differs:")?;
    changes.iter().try_for_each(|change| answer(&changed(change)))?;
    answer("because of:")?;
    events.iter().try_for_each(|event| {
        let (version, kind, payload) = (event.version, &event.r#type, event.payload.get());
        let at = event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        answer(&format!("  @{version}  {at}  {kind}  {payload}"))
    })
}

fn state(which: &str, moment: AsOf, at: &StateAt) -> anyhow::Result<String> {
    let version = at.reached.version;
    let state = serde_json::to_string_pretty(&at.state)?;
    Ok(format!("{which} {moment}, at version {version}:\n{state}"))
}

fn changed(change: &Change) -> String {
    let Change { pointer, from, to } = change;
    let pointer = if pointer.is_empty() { "everything" } else { pointer };
    let value = |value: &Option<Value>| match value {
        Some(value) => value.to_string(),
        None => "(nothing)".to_owned(),
    };
    format!("  {pointer}: {} -> {}", value(from), value(to))
}
