//! Counts what the log says beside what read models have taken up, some times a minute.
//!
//! Each slot keeps the number of events it has taken up and a digest of their positions, changed in
//! the transaction that takes effect of them. Here the same is counted from the log alone, some time
//! later, and compared at the same position: an event that was skipped or taken twice shows as a
//! difference, which stays until the read model is made anew.

use std::collections::BTreeMap;

use eventstore::Position;
use eventstore::answer::within;
use tokio::time::Instant;

use crate::slots::{Taken, slot_of};
use crate::{Projection, Source};

/// Events that are read at once.
const PAGE: u16 = 2_000;

/// Pages that are read of a read model before the others have their turn.
const MOST_PAGES: usize = 50;

/// How many times longer it rests than it reads: followers come first.
const REST: u32 = 4;

/// What was counted of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    position: Position,
    events: i64,
    digest: i64,
}

/// What both sides say of the slots of a generation.
#[derive(Debug, Default)]
struct Counts {
    /// By the read model.
    taken: BTreeMap<i16, Count>,
    /// By the log.
    counted: BTreeMap<i16, Count>,
}

/// Counts what has come since the last time, once for each of `projections`; answers with the
/// differences found. Processes that do so at the same time do the same, and dropping the future is
/// safe: what was not written is counted again.
///
/// # Errors
/// The database cannot be reached.
pub async fn count_all(
    source: &Source,
    projections: &[&Projection],
) -> Result<Vec<String>, sqlx::Error> {
    let mut differences = Vec::new();
    for (model, generation) in moved(source).await? {
        let known = projections.iter().find(|projection| projection.model() == model);
        if let Some(projection) = known {
            differences.extend(count(source, projection, generation).await?);
        }
    }
    Ok(differences)
}

/// Live generations that have moved since they were counted.
async fn moved(source: &Source) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let moved = sqlx::query!(
        r#"
        SELECT DISTINCT g.model, g.id
        FROM projections.generations AS g
        JOIN projections.slots AS s ON s.generation = g.id
        LEFT JOIN projections.digests AS d ON d.generation = s.generation AND d.slot = s.slot
        WHERE g.state = 'live' AND s.position > coalesce(d.position, 0)
        "#
    );
    let moved = within(moved.fetch_all(source.store.pool())).await?;
    Ok(moved.into_iter().map(|row| (row.model, row.id)).collect())
}

async fn count(
    source: &Source,
    projection: &Projection,
    generation: i64,
) -> Result<Vec<String>, sqlx::Error> {
    let Counts { taken, mut counted } = read(source, generation).await?;
    let filter = projection.filter();
    let from = counted.values().map(|count| count.position).min().unwrap_or_default();
    let to = taken.values().map(|count| count.position).max().unwrap_or_default();
    let mut reached = from;
    for _ in 0..MOST_PAGES {
        if reached >= to {
            break;
        }
        let begun = Instant::now();
        let page = source.store.read_page(&filter, reached, to, PAGE).await?;
        for event in &page.events {
            let slot = slot_of(&(projection.key)(event));
            let (Some(count), Some(end)) = (counted.get_mut(&slot), taken.get(&slot)) else {
                continue;
            };
            if count.position < event.position && event.position <= end.position {
                let mut more = Taken::default();
                more.add(event.position);
                count.events += more.events;
                count.digest ^= more.digest;
            }
        }
        reached = page.reached;
        tokio::time::sleep(begun.elapsed() * REST).await;
    }
    for (slot, count) in &mut counted {
        if let Some(end) = taken.get(slot) {
            count.position = count.position.max(end.position.min(reached));
        }
    }
    let differences: BTreeMap<i16, String> = counted
        .iter()
        .filter_map(|(slot, counted)| {
            let taken = taken.get(slot)?;
            if counted.position != taken.position {
                return None;
            }
            let difference = difference(projection, *slot, *taken, *counted)?;
            Some((*slot, difference))
        })
        .collect();
    let compared: Vec<_> = counted
        .iter()
        .map(|(slot, count)| taken.get(slot).is_some_and(|end| count.position == end.position))
        .collect();
    write(source, generation, &counted, &compared, &differences).await?;
    for difference in differences.values() {
        tracing::error!(
            projection.name,
            difference,
            "a read model is not what the log says: verify it, and rebuild it"
        );
    }
    Ok(differences.into_values().collect())
}

fn difference(projection: &Projection, slot: i16, taken: Count, counted: Count) -> Option<String> {
    if (taken.events, taken.digest) == (counted.events, counted.digest) {
        return None;
    }
    let (name, position) = (projection.name, taken.position);
    let (took, are) = (taken.events, counted.events);
    Some(match took - are {
        0 => format!("slot {slot} of {name} took other events up to {position} than the log holds"),
        _ => format!(
            "slot {slot} of {name} took {took} events up to {position} where the log holds {are}"
        ),
    })
}

async fn read(source: &Source, generation: i64) -> Result<Counts, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT s.slot, s.position, s.events, s.digest,
               coalesce(d.position, 0) AS "counted_position!",
               coalesce(d.events, 0) AS "counted_events!",
               coalesce(d.digest, 0) AS "counted_digest!"
        FROM projections.slots AS s
        LEFT JOIN projections.digests AS d ON d.generation = s.generation AND d.slot = s.slot
        WHERE s.generation = $1
        "#,
        generation,
    );
    let mut counts = Counts::default();
    for row in within(rows.fetch_all(source.store.pool())).await? {
        let position = Position::new(row.position);
        counts.taken.insert(row.slot, Count { position, events: row.events, digest: row.digest });
        let position = Position::new(row.counted_position);
        let (events, digest) = (row.counted_events, row.counted_digest);
        counts.counted.insert(row.slot, Count { position, events, digest });
    }
    Ok(counts)
}

async fn write(
    source: &Source,
    generation: i64,
    counted: &BTreeMap<i16, Count>,
    compared: &[bool],
    differences: &BTreeMap<i16, String>,
) -> Result<(), sqlx::Error> {
    let slots: Vec<_> = counted.keys().copied().collect();
    let positions: Vec<_> = counted.values().map(|count| count.position.get()).collect();
    let events: Vec<_> = counted.values().map(|count| count.events).collect();
    let digests: Vec<_> = counted.values().map(|count| count.digest).collect();
    let differences: Vec<_> = slots.iter().map(|slot| differences.get(slot).cloned()).collect();
    let written = sqlx::query!(
        r#"
        INSERT INTO projections.digests AS known (generation, slot, position, events, digest, difference)
        SELECT $1, slot, position, events, digest, difference
        FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
             AS counted (slot, position, events, digest, difference)
        ON CONFLICT (generation, slot) DO UPDATE
        SET position = excluded.position, events = excluded.events, digest = excluded.digest,
            -- Where only a part could be counted there is nothing new to say.
            difference = CASE WHEN ($7::boolean[])[known.slot + 1] THEN excluded.difference ELSE known.difference END,
            checked_at = clock_timestamp()
        WHERE excluded.position >= known.position
        "#,
        generation,
        &slots,
        &positions,
        &events,
        &digests,
        &differences as &[Option<String>],
        compared,
    );
    within(written.execute(source.store.pool())).await?;
    Ok(())
}
