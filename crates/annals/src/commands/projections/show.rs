//! How read models are doing, for people and programs.

use eventstore::EventStore;
use projections::comparison::Comparison;
use projections::overview::{Making, Overview, overview};
use projections::{Projection, generation, operations, rebuild};

use super::super::answer;

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

pub(super) async fn show(store: &EventStore, projection: &Projection) -> anyhow::Result<()> {
    let pool = store.pool();
    list(&overview(store, &[projection]).await?, false)?;
    answer(&format!("reads {}", projection.reads.join(", ")))?;
    for known in generation::of(pool, &projection.model()).await? {
        let begun = known.created_at.format("%Y-%m-%d %H:%M:%S");
        let (id, state, position) = (known.id, known.state.as_str(), known.position);
        answer(&format!("generation {id}: {state}, begun {begun}, at {position}"))?;
        if let Some(comparison) =
            rebuild::progress(pool, id).await?.and_then(|progress| progress.comparison)
        {
            compared(&comparison)?;
        }
    }
    for parked in operations::parked_keys(pool, projection).await? {
        let (key, events, position) = (&parked.key, parked.events, parked.position);
        let since = parked.parked_at.format("%Y-%m-%d %H:%M:%S");
        answer(&format!(
            "parked {key}: {events} events from position {position} on, since {since}, tried {} times: {}",
            parked.attempts, parked.error
        ))?;
    }
    Ok(())
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
                "  {name}: {rows} rows, equal at position {position}, digest {digest:016x}"
            ))?;
            continue;
        }
        answer(&format!(
            "  {name}: {} rows differ at position {position}; the live one has {}, the new one {rows}",
            table.different, table.live_rows
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
