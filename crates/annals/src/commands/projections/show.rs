//! How read models are doing, for people and programs.

use chrono::{DateTime, Utc};
use eventstore::EventStore;
use projections::comparison::Comparison;
use projections::generation::Generation;
use projections::operations::ParkedKey;
use projections::overview::{Making, Overview, overview};
use projections::{Projection, generation, operations, rebuild};
use serde_json::json;

use super::super::answer;
use super::count;

pub(super) fn list(all: &[Overview], json: bool) -> anyhow::Result<()> {
    if json {
        return all.iter().try_for_each(|one| answer(&serde_json::to_string(one)?));
    }
    answer(&format!(
        "{:<12} {:>7}  {:<9} {:>10} {:>8} {:>9} {:>7}  {}",
        "NAME", "VERSION", "STATE", "POSITION", "BEHIND", "SECONDS", "PARKED", "KEPT BY"
    ))?;
    for one in all {
        answer(&line(one))?;
        if let Some(making) = &one.making {
            answer(&format!("{:<12} {:>7}  {}", "", "", made(making)))?;
        }
    }
    Ok(())
}

fn line(one: &Overview) -> String {
    let (name, version) = (&one.name, one.version);
    let Some(live) = &one.live else { return format!("{name:<12} {version:>7}  not live yet") };
    let state = match (&live.difference, live.paused, live.keepers.is_empty()) {
        (Some(_), _, _) => "differs",
        (None, true, _) => "paused",
        (None, false, true) => "abandoned",
        (None, false, false) => "live",
    };
    let keepers: Vec<_> =
        live.keepers.iter().map(|keeper| format!("{} ({})", keeper.worker, keeper.slots)).collect();
    format!(
        "{name:<12} {version:>7}  {state:<9} {:>10} {:>8} {:>9.1} {:>7}  {}",
        live.position,
        live.behind_events,
        live.behind_seconds,
        live.parked_keys,
        keepers.join(", "),
    )
}

fn made(making: &Making) -> String {
    let state = match (making.state.as_str(), making.paused, making.conducted) {
        _ if making.is_to_verify && making.conducted => "made to be compared by `verify`",
        _ if making.is_to_verify => "left behind by a `verify` that was cut off",
        ("built", _, _) => "made, waits for `switch`",
        (_, true, _) => "in the making, paused",
        (_, false, true) => "in the making",
        (_, false, false) => "in the making, nobody works on it",
    };
    let left = making.left_seconds.map(|left| format!(", {left:.0} s left"));
    let trouble = making.trouble.as_ref().map(|trouble| format!(": {trouble}"));
    format!(
        "generation {} {state}, {:.1} %{}{}",
        making.generation,
        making.done * 100.0,
        left.unwrap_or_default(),
        trouble.unwrap_or_default(),
    )
}

pub(super) async fn show(
    store: &EventStore,
    projection: &Projection,
    json: bool,
) -> anyhow::Result<()> {
    let pool = store.pool();
    let all = overview(store, &[projection]).await?;
    let mut generations = Vec::new();
    for known in generation::of(pool, &projection.model()).await? {
        let progress = rebuild::progress(pool, known.id).await?;
        generations.push((known, progress.and_then(|progress| progress.comparison)));
    }
    let parked = operations::parked_keys(pool, projection).await?;
    if json {
        return answer(&document(&all, projection, &generations, &parked).to_string());
    }
    list(&all, false)?;
    answer(&format!("reads {}", projection.reads.join(", ")))?;
    for (known, comparison) in &generations {
        let begun = time(known.created_at);
        let (id, state, position) = (known.id, known.state.as_str(), known.position);
        answer(&format!("generation {id}: {state}, begun {begun}, at position {position}"))?;
        if let Some(comparison) = comparison {
            compared(comparison)?;
        }
    }
    for parked in &parked {
        let (key, events, position) = (&parked.key, parked.events, parked.position);
        answer(&format!(
            "parked {key}: {} from position {position} on, since {}, tried {}: {}",
            count(events, "event"),
            time(parked.parked_at),
            count(parked.attempts, "time"),
            parked.error
        ))?;
    }
    Ok(())
}

/// The same for programs.
fn document(
    all: &[Overview],
    projection: &Projection,
    generations: &[(Generation, Option<Comparison>)],
    parked: &[ParkedKey],
) -> serde_json::Value {
    let generations = generations.iter().map(|(known, comparison)| {
        json!({
            "id": known.id,
            "state": known.state.as_str(),
            "begun_at": known.created_at,
            "live_at": known.live_at,
            "position": known.position,
            "comparison": comparison,
        })
    });
    let parked = parked.iter().map(|parked| {
        json!({
            "key": parked.key,
            "position": parked.position,
            "events": parked.events,
            "attempts": parked.attempts,
            "error": parked.error,
            "parked_at": parked.parked_at,
        })
    });
    json!({
        "overview": all.first(),
        "reads": projection.reads,
        "generations": generations.collect::<Vec<_>>(),
        "parked": parked.collect::<Vec<_>>(),
    })
}

fn time(time: DateTime<Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M:%SZ")
}

/// Says how what was made differs from the live one.
pub(super) fn compared(comparison: &Comparison) -> anyhow::Result<()> {
    let position = comparison.position;
    let Comparison { parked_live, parked_new, .. } = comparison;
    if *parked_live + *parked_new > 0 {
        answer(&format!(
            "  parked keys: {parked_live} in the live one, {parked_new} in the new one"
        ))?;
    }
    for table in &comparison.tables {
        let (name, rows) = (&table.table, table.new_rows);
        if table.different == 0 {
            let digest = table.new_digest.cast_unsigned();
            answer(&format!(
                "  {name}: {}, equal at position {position}, digest {digest:016x}",
                count(rows, "row")
            ))?;
            continue;
        }
        answer(&format!(
            "  {name}: {} at position {position}; the live one has {}, the new one {rows}",
            match table.different {
                1 => "1 row differs".to_owned(),
                rows => format!("{rows} rows differ"),
            },
            table.live_rows
        ))?;
        for row in &table.examples {
            let side = |row: &Option<String>| row.clone().unwrap_or_else(|| "nothing".to_owned());
            answer(&format!("    {}: live {}, log {}", row.key, side(&row.live), side(&row.new)))?;
        }
        let named = i64::try_from(table.examples.len()).unwrap_or(i64::MAX);
        if table.different > named {
            answer(&format!("    and {} more", table.different - named))?;
        }
    }
    Ok(())
}
