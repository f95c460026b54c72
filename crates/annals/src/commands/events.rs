//! `annals events`: what happened.

use anyhow::{Context as _, bail};
use eventstore::{EventStore, Filter, Position, RecordedEvent, StreamId, Wakeup};
use futures_util::TryStreamExt;
use serde_json::json;
use serde_json::value::RawValue;

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;
use crate::signals::stop_token;

pub(super) async fn run(config: &Config, command: cli::Events) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    match command {
        cli::Events::Tail { after, types, no_follow, json } => {
            let known: Vec<_> = domain::Event::types().map(|known| known.name).collect();
            if let Some(unknown) = types.iter().find(|name| !known.contains(&name.as_str())) {
                bail!("no event type is called {unknown:?}; there are: {}", known.join(", "));
            }
            let after = match after {
                Some(position) => Position::new(position),
                None if no_follow => Position::START,
                None => store.head().await?,
            };
            tail(&store, after, types, !no_follow, json).await
        }
        cli::Events::Show { stream, json } => {
            let id = StreamId::new(stream.as_str()).context("cannot look for this stream")?;
            let events = store.read_streams(std::slice::from_ref(&id)).await?;
            if events.is_empty() {
                bail!("no stream is called {stream}");
            }
            events.iter().try_for_each(|event| answer(&line(event, json)?))
        }
    }
}

async fn tail(
    store: &EventStore,
    after: Position,
    types: Vec<String>,
    follow: bool,
    json: bool,
) -> anyhow::Result<()> {
    let stop = stop_token()?;
    let filter = if types.is_empty() { Filter::everything() } else { Filter::types(types) };
    if !follow {
        let mut events = store.read_log(filter, after, Position::MAX);
        while let Some(event) = events.try_next().await? {
            answer(&line(&event, json)?)?;
        }
        return Ok(());
    }
    if !follow {
        return Ok(());
    }
    let wakeup = Wakeup::listen(store.pool().clone());
    let mut subscription = store.subscribe(filter, after, wakeup);
    loop {
        let page = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            page = subscription.next() => page?,
        };
        page.events.iter().try_for_each(|event| answer(&line(event, json)?))?;
    }
}

fn line(event: &RecordedEvent, as_json: bool) -> anyhow::Result<String> {
    let at = event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let RecordedEvent { position, stream, version, event_type, payload, metadata, .. } = event;
    if !as_json {
        return Ok(format!(
            "{position:>8}  {at}  {event_type:<34}  {stream} @{version}  {payload}"
        ));
    }
    let payload: &RawValue = serde_json::from_str(payload)?;
    let fields = json!({
        "position": position,
        "recorded_at": at,
        "event_id": event.id,
        "type": event_type.to_string(),
        "stream": stream,
        "version": version,
        "command_id": event.command_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "actor": metadata.actor,
        "payload": payload,
    });
    Ok(fields.to_string())
}
