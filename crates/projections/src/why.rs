//! What holds a read model back, and what to do about it.

use std::fmt::Write as _;

use eventstore::EventStore;
use eventstore::answer::within;
use sqlx::PgPool;

use crate::Projection;
use crate::operations::parked_keys;
use crate::overview::{Live, Making, overview};

/// Something that holds a read model back, or nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// What holds `projection` back, the most likely first; never empty.
///
/// # Errors
/// The database cannot be reached.
pub async fn why(store: &EventStore, projection: &Projection) -> Result<Vec<Finding>, sqlx::Error> {
    let pool = store.pool();
    let name = projection.name;
    let mut findings = Vec::new();
    for of in overview(store, &[projection]).await? {
        match &of.live {
            Some(live) => {
                findings.extend(of_live(name, live));
                findings.extend(of_sessions(pool, &projection.model()).await?);
                for parked in parked_keys(pool, projection).await? {
                    findings.push(Finding::new(
                        format!(
                            "the key {} is parked since {} with {} event{} from position {} on: {}",
                            parked.key,
                            parked.parked_at.format("%Y-%m-%d %H:%M:%SZ"),
                            parked.events,
                            if parked.events == 1 { "" } else { "s" },
                            parked.position,
                            parked.error
                        ),
                        format!("mend the cause, then `annals projections retry {name} {}`; all other keys go on", parked.key),
                    ));
                }
            }
            None => findings.push(Finding::new(
                format!("{name} is not live yet"),
                "it is made from the log by the projectors: `annals projections list` shows how far it is",
            )),
        }
        findings.extend(of.making.as_ref().and_then(|making| of_making(name, making)));
        if findings.is_empty()
            && let Some(live) = &of.live
        {
            findings.push(nothing(name, live));
        }
    }
    Ok(findings)
}

fn nothing(name: &str, live: &Live) -> Finding {
    if live.behind_events == 0 {
        return Finding::new(
            format!(
                "nothing holds {name} back: it has taken in all it reads up to {}",
                live.position
            ),
            "there is nothing to do",
        );
    }
    Finding::new(
        format!(
            "{name} is {} events behind, for {:.1} s, and goes on",
            live.behind_events, live.behind_seconds
        ),
        "ask again in a moment; if it falls behind further, run more projectors",
    )
}

fn of_live(name: &str, live: &Live) -> Vec<Finding> {
    let mut findings = Vec::new();
    if live.paused {
        findings.push(Finding::new(
            format!("{name} is paused"),
            format!("`annals projections resume {name}` lets it go on"),
        ));
    }
    let kept: i64 = live.keepers.iter().map(|keeper| keeper.slots).sum();
    let missing = i64::from(crate::SLOTS) - kept;
    if missing > 0 {
        findings.push(Finding::new(
            format!("nobody keeps {missing} of the {} slots of {name}", crate::SLOTS),
            "run a process with the role projector; one that is there takes them within 3 seconds",
        ));
    }
    if let Some(difference) = &live.difference {
        findings.push(Finding::new(
            format!("{name} is not what the log says: {difference}"),
            format!("`annals projections verify {name}` lists the rows, `annals projections rebuild {name}` mends them"),
        ));
    }
    findings
}

fn of_making(name: &str, making: &Making) -> Option<Finding> {
    let generation = making.generation;
    if let Some(trouble) = &making.trouble {
        return Some(Finding::new(
            format!("the making of generation {generation} does not go on: {trouble}"),
            format!(
                "mend the cause: it is tried again all the time; or `annals projections cancel {name}`"
            ),
        ));
    }
    if making.is_to_verify {
        // Others do not take it up: whoever begins something else drops it.
        let is_abandoned = !making.conducted;
        return is_abandoned.then(|| {
            Finding::new(
                format!("generation {generation} was made for a `verify` that was cut off"),
                format!(
                    "it takes room and does no harm: `annals projections cancel {name}` drops it"
                ),
            )
        });
    }
    match (making.state.as_str(), making.paused, making.conducted) {
        ("built", _, _) => Some(Finding::new(
            format!("generation {generation} is made, and waits"),
            format!("`annals projections switch {name}` makes it live, `cancel` drops it"),
        )),
        (_, true, _) => Some(Finding::new(
            format!("the making of generation {generation} is paused"),
            format!("`annals projections resume {name} --rebuild` lets it go on"),
        )),
        (_, false, false) => Some(Finding::new(
            format!("nobody works on generation {generation}"),
            "run a process with the role projector: it takes it up within 3 seconds",
        )),
        (_, false, true) => None,
    }
}

/// A session that works on a read model, or waits for another one to get at it.
struct Session {
    pid: i32,
    query: String,
    seconds: f64,
    blockers: Vec<i32>,
}

/// Sessions of projectors that wait for a lock, with who is at the root of it, and statements that
/// take long.
async fn of_sessions(pool: &PgPool, model: &str) -> Result<Vec<Finding>, sqlx::Error> {
    let mut findings = Vec::new();
    for session in sessions(pool, model).await? {
        if session.blockers.is_empty() {
            findings.push(Finding::new(
                format!(
                    "session {} has been at one statement for {:.1} s: {}",
                    session.pid,
                    session.seconds,
                    brief(&session.query)
                ),
                "look at its plan with EXPLAIN; an index or fresh statistics (ANALYZE) may be missing",
            ));
            continue;
        }
        let mut what = format!(
            "session {} has waited for a lock for {:.1} s: {}",
            session.pid,
            session.seconds,
            brief(&session.query)
        );
        let root = root(pool, &session.blockers).await?;
        let mut remedy = "it goes on when the lock is free".to_owned();
        if let Some(root) = root {
            let _ = write!(
                what,
                "; at the root of it is session {} ({}, {}, {} for {:.1} s): {}",
                root.pid,
                root.application,
                root.user,
                root.state,
                root.seconds,
                brief(&root.query)
            );
            remedy =
                format!("end that transaction, or `SELECT pg_terminate_backend({})`", root.pid);
        }
        findings.push(Finding::new(what, remedy));
    }
    Ok(findings)
}

async fn sessions(pool: &PgPool, model: &str) -> Result<Vec<Session>, sqlx::Error> {
    // Who writes to a read model has locks on its tables, or waits for them, or for the row of a slot.
    let rows = sqlx::query!(
        r#"
        SELECT a.pid AS "pid!", a.query AS "query!",
               extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS "seconds!",
               pg_blocking_pids(a.pid) AS "blockers!"
        FROM pg_stat_activity AS a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state = 'active'
          AND clock_timestamp() - a.query_start > interval '1 second'
          AND EXISTS (
              SELECT 1
              FROM pg_locks AS l
              JOIN pg_class AS c ON c.oid = l.relation
              WHERE l.pid = a.pid AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                AND (c.relnamespace = to_regnamespace($1) AND l.mode NOT IN ('AccessShareLock')
                     OR c.oid = 'projections.slots'::regclass AND l.mode = 'RowExclusiveLock')
          )
        ORDER BY a.query_start
        "#,
        model,
    );
    let rows = within(rows.fetch_all(pool)).await?.into_iter();
    Ok(rows
        .map(|row| Session {
            pid: row.pid,
            query: row.query,
            seconds: row.seconds,
            blockers: row.blockers,
        })
        .collect())
}

/// Who others wait for, and who waits for nobody.
struct Root {
    pid: i32,
    application: String,
    user: String,
    state: String,
    seconds: f64,
    query: String,
}

async fn root(pool: &PgPool, blockers: &[i32]) -> Result<Option<Root>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        WITH RECURSIVE chain (pid) AS (
            SELECT unnest($1::integer[])
            UNION
            SELECT unnest(pg_blocking_pids(chain.pid)) FROM chain
        )
        SELECT a.pid AS "pid!", coalesce(a.application_name, '') AS "application!",
               coalesce(a.usename::text, '') AS "user!", coalesce(a.state, '') AS "state!",
               coalesce(extract(epoch FROM clock_timestamp() - a.state_change), 0)::float8 AS "seconds!",
               coalesce(a.query, '') AS "query!"
        FROM chain
        JOIN pg_stat_activity AS a USING (pid)
        WHERE cardinality(pg_blocking_pids(a.pid)) = 0
        ORDER BY a.xact_start
        LIMIT 1
        "#,
        blockers,
    );
    let row = within(row.fetch_optional(pool)).await?;
    Ok(row.map(|row| Root {
        pid: row.pid,
        application: row.application,
        user: row.user,
        state: row.state,
        seconds: row.seconds,
        query: row.query,
    }))
}

/// A statement on one line, not too long.
fn brief(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}
