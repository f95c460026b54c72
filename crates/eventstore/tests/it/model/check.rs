//! Whether the store is what the model is, to the last row.

use std::collections::BTreeSet;
use std::sync::Arc;

use eventstore::{
    Append, AppendError, CommandId, EventStore, Fingerprint, Receipt, RecordedEvent, StreamSlice,
    Tag,
};
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::state::{Claims, Logged, State};
use crate::support::{all, assert_gapless, stream};

/// Who holds what.
pub(super) async fn claims(store: &EventStore) -> Claims {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT namespace, value, stream FROM eventstore.claims")
            .fetch_all(store.pool())
            .await
            .unwrap();
    rows.into_iter().map(|(namespace, value, of)| ((namespace, value), stream(&of))).collect()
}

/// Whether two commands with events were recorded in the same moment: by one call of the database.
pub(super) async fn has_shared_batch(store: &EventStore) -> bool {
    let events = all(store).await;
    events.windows(2).any(|pair| {
        pair[0].recorded_at == pair[1].recorded_at && pair[0].command_id != pair[1].command_id
    })
}

/// Compares everything; `made` was asked for at least once, `kept` are the commands of transactions
/// that were to commit, each as often as it was asked.
pub(super) async fn all_of(
    store: &EventStore,
    state: &State,
    made: &[Arc<Append>],
    kept: &BTreeSet<CommandId>,
) {
    let log = all(store).await;
    assert_gapless(&log);
    assert_eq!(log.len(), state.log.len());
    for (recorded, logged) in log.iter().zip(&state.log) {
        compare(recorded, logged);
    }
    assert_eq!(store.head().await.unwrap(), state.head());
    streams(store, &log).await;
    outbox_tags_and_types(store, state).await;
    assert_eq!(claims(store).await, state.claims);
    commands(store, state, made).await;
    let own: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT command FROM own")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(own.into_iter().map(CommandId::new).collect::<BTreeSet<_>>(), *kept);
    for condition in made.iter().flat_map(|append| &append.conditions) {
        let page = store.read_matching(&condition.query, condition.after).await.unwrap();
        let found: Vec<_> = page.events.iter().map(|event| event.position).collect();
        let expected = state.matching(&condition.query, condition.after);
        let expected: Vec<_> = expected.map(|(position, _)| position).collect();
        assert_eq!(found, expected, "{condition:?}");
    }
}

fn compare(recorded: &RecordedEvent, logged: &Logged) {
    let (append, event) = (&logged.append, logged.event());
    assert_eq!(recorded.command_id, append.command_id);
    assert_eq!(recorded.metadata.actor, append.metadata.actor);
    assert_eq!(recorded.metadata.tenant, append.metadata.tenant);
    assert_eq!(recorded.metadata.correlation_id, append.metadata.correlation_id);
    assert_eq!(recorded.metadata.causation_id, append.metadata.causation_id);
    assert_eq!(recorded.metadata.trace, append.metadata.trace);
    assert_eq!(recorded.stream, event.stream);
    assert_eq!(recorded.version, logged.version);
    assert_eq!(recorded.event_type, event.event_type);
    assert_eq!(recorded.payload, event.payload);
    assert_eq!(recorded.tags.iter().collect::<Vec<_>>(), tags(logged), "sorted, each once");
}

fn tags(logged: &Logged) -> Vec<&Tag> {
    logged.event().tags.iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Each stream holds its events of the `log`, in order.
async fn streams(store: &EventStore, log: &[RecordedEvent]) {
    let names: BTreeSet<_> = log.iter().map(|event| &event.stream).collect();
    for name in names {
        let read = store.read_stream(name, StreamSlice::ALL);
        let read: Vec<_> = read.map_ok(|event| event.id).try_collect().await.unwrap();
        let expected = log.iter().filter(|event| event.stream == *name);
        let expected: Vec<_> = expected.map(|event| event.id).collect();
        assert_eq!(read, expected, "{name}");
    }
}

async fn outbox_tags_and_types(store: &EventStore, state: &State) {
    let pool = store.pool();
    let outbox: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, subject FROM eventstore.outbox ORDER BY position")
            .fetch_all(pool)
            .await
            .unwrap();
    let logged = || (1_i64..).zip(&state.log);
    let expected =
        logged().filter_map(|(position, logged)| Some((position, logged.event().subject.clone()?)));
    assert_eq!(outbox, expected.collect::<Vec<_>>());

    let found: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, tag FROM eventstore.tags").fetch_all(pool).await.unwrap();
    let expected = logged().flat_map(|(position, logged)| {
        tags(logged).into_iter().map(move |tag| (position, tag.as_str().to_owned()))
    });
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected.collect());

    let types: Vec<(String, i16)> =
        sqlx::query_as("SELECT name, schema_version FROM eventstore.types")
            .fetch_all(pool)
            .await
            .unwrap();
    let expected = state.log.iter().map(|logged| {
        let of_type = &logged.event().event_type;
        (of_type.name.to_string(), of_type.schema_version)
    });
    assert_eq!(types.into_iter().collect::<BTreeSet<_>>(), expected.collect());
}

/// The commands that took effect are known, with their receipts, and no others.
async fn commands(store: &EventStore, state: &State, made: &[Arc<Append>]) {
    let rows: Vec<(Uuid, Vec<u8>, i64, i64)> = sqlx::query_as(
        "SELECT command_id, fingerprint, first_position, last_position FROM eventstore.commands",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), state.commands.len());
    for (id, fingerprint, first, last) in rows {
        let kept = &state.commands[&CommandId::new(id)];
        assert_eq!(fingerprint, kept.fingerprint.as_bytes());
        let of_it = |logged: &&Logged| logged.append.command_id.get() == id;
        let events = i64::try_from(state.log.iter().filter(of_it).count()).unwrap();
        assert_eq!((first, last), (last - events + 1, kept.receipt.position.get()));
    }
    for append in made {
        let id = append.command_id;
        let kept = state.commands.get(&id);
        let expected = kept.map(|kept| Receipt { repeated: true, ..kept.receipt.clone() });
        assert_eq!(store.receipt(id).await.unwrap(), expected);
        // To look a few up in the other way is enough.
        if let Some(kept) = kept.filter(|kept| kept.receipt.position.get() % 8 == 0) {
            assert_eq!(store.repeated(id, kept.fingerprint).await.unwrap(), expected);
            let other = store.repeated(id, Fingerprint::of(b"neither")).await;
            assert!(matches!(other, Err(AppendError::OtherBody { .. })), "{other:?}");
        }
    }
}
