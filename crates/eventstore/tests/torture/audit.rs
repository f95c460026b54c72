//! What must be true afterwards.

use std::collections::HashMap;

use eventstore::{CommandId, EventId, EventStore, Filter, Position, RecordedEvent};
use futures_util::TryStreamExt;
use uuid::Uuid;

use crate::writer::Said;

/// Compares the log with what the writers were told and what each reader saw; answers with figures.
pub(crate) async fn check(store: &EventStore, said: &[Said], readers: &[&[EventId]]) -> String {
    let log = store.read_log(Filter::everything(), Position::START, Position::MAX);
    let log: Vec<RecordedEvent> = log.try_collect().await.expect("the log");
    check_order(&log);
    let ids: Vec<_> = log.iter().map(|event| event.id).collect();
    for read in readers {
        assert!(ids == *read, "what a reader saw is what there is");
    }

    let mut written: HashMap<Uuid, Vec<&RecordedEvent>> = HashMap::new();
    for event in &log {
        written.entry(event.command_id.get()).or_default().push(event);
    }
    for (command, events) in &written {
        let first = events[0].position.get();
        let is_whole =
            (first..).zip(events).all(|(position, event)| event.position.get() == position);
        assert!(is_whole, "{command} is one piece");
    }
    let (mut acknowledged, mut open) = (0, 0);
    let mut fate: HashMap<Uuid, (usize, Option<&Said>)> = HashMap::new();
    for line in said {
        match line {
            Said::Asking { command, events } => {
                fate.insert(*command, (*events, None));
            }
            Said::Acknowledged { command, .. } | Said::Refused { command } => {
                fate.entry(*command).and_modify(|(_, told)| *told = Some(line));
            }
        }
    }
    for (command, (events, told)) in &fate {
        let found = written.get(command).map_or(0, Vec::len);
        let receipt = store.receipt(CommandId::new(*command)).await.expect("an answer");
        match told {
            Some(Said::Acknowledged { position, .. }) => {
                let receipt = receipt.expect("what was acknowledged is known");
                assert_eq!(receipt.position.get(), *position);
                assert_eq!(found, *events, "all of {command}");
                acknowledged += 1;
            }
            Some(_) => assert!(receipt.is_none() && found == 0, "{command} was refused"),
            None => {
                // The server may have been at it still when the log was read.
                let found = if found == 0 { count(store, *command).await } else { found };
                assert!(found == 0 || found == *events, "all of {command} or nothing");
                assert!(receipt.is_none() || found == *events, "{command} has a receipt");
                open += 1;
            }
        }
    }
    let strangers = written.keys().filter(|command| !fate.contains_key(command)).count();
    assert_eq!(strangers, 0, "nobody else wrote");
    check_outbox(store, &log).await;
    assert!(acknowledged > 0, "somebody wrote something");
    format!("{} events, {acknowledged} acknowledged commands, {open} open ones resolved", log.len())
}

async fn count(store: &EventStore, command: Uuid) -> usize {
    let log = store.read_log(Filter::everything(), Position::START, Position::MAX);
    let of_command = log.try_filter(|event| std::future::ready(event.command_id.get() == command));
    of_command.try_fold(0, async |count, _| Ok(count + 1)).await.expect("the log")
}

fn check_order(log: &[RecordedEvent]) {
    let mut versions: HashMap<&str, i64> = HashMap::new();
    for (position, event) in (1..).zip(log) {
        assert_eq!(event.position.get(), position);
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(event.version.get(), *version, "of {}", event.stream);
    }
    assert!(log.is_sorted_by_key(|event| event.recorded_at));
}

/// The outbox tells of events that exist, and tags lead to all events that have them.
async fn check_outbox(store: &EventStore, log: &[RecordedEvent]) {
    let orphans = "SELECT count(*) FROM eventstore.outbox AS o
                   WHERE NOT EXISTS (SELECT FROM eventstore.events AS e WHERE e.position = o.position)";
    let orphans: i64 = sqlx::query_scalar(orphans).fetch_one(store.pool()).await.expect("a count");
    assert_eq!(orphans, 0);
    let tags: i64 = sqlx::query_scalar("SELECT count(*) FROM eventstore.tags")
        .fetch_one(store.pool())
        .await
        .expect("a count");
    let of_events: usize = log.iter().map(|event| event.tags.len()).sum();
    assert_eq!(usize::try_from(tags), Ok(of_events));
}
