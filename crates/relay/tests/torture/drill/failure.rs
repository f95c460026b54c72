//! What is said when something stands still.

use relay::dead_letters;

use super::Drill;
use crate::effects::{self, CONSUMERS};

/// What the database tells, each as one text.
const TABLES: [(&str, &str); 4] = [
    ("cursors", "SELECT string_agg(row_to_json(t)::text, E'\n') FROM eventstore.cursors AS t"),
    ("consumers", "SELECT string_agg(row_to_json(t)::text, E'\n') FROM relay.consumers AS t"),
    ("interrupted", "SELECT string_agg(row_to_json(t)::text, E'\n') FROM relay.interrupted AS t"),
    (
        "sessions",
        "SELECT string_agg(row_to_json(t)::text, E'\n')
         FROM (SELECT pid, state, wait_event, pg_blocking_pids(pid) AS behind,
                      now() - xact_start AS since, left(query, 100) AS query
               FROM pg_stat_activity WHERE state <> 'idle') AS t",
    ),
];

impl Drill {
    /// Says what was seen last, and ends.
    pub(super) async fn fail(&self, what: &str) -> ! {
        let mut seen = format!("{what}; again with: --seed {}\n", self.seed);
        let mut add = |name: &str, text: String| seen.extend(["--- ", name, "\n", &text, "\n"]);
        for (role, programs) in [("relay", &self.relays), ("consumers", &self.consumers)] {
            for (number, program) in (1..).zip(programs) {
                let said = program.said();
                let tail: Vec<&str> = said.lines().rev().take(6).collect();
                add(&format!("{role} {number}, last line first"), tail.join("\n"));
            }
        }
        add("what was done", self.history.join("\n"));
        add("reached", format!("{:?}", effects::reached(&self.pool).await));
        add("dead letters", format!("{:?}", dead_letters::count(&self.pool).await));
        for (table, rows) in TABLES {
            let rows: Result<Option<String>, _> =
                sqlx::query_scalar(rows).fetch_one(&self.pool).await;
            add(table, rows.map_or_else(|error| error.to_string(), Option::unwrap_or_default));
        }
        match self.stream().await {
            Ok(stream) => {
                add("stream", format!("{:?}", stream.cached_info().state));
                for (name, _) in CONSUMERS {
                    add(name, format!("{:?}", stream.consumer_info(name).await));
                }
            }
            Err(error) => add("stream", error),
        }
        add("subscriber has", self.subscriber.record().len().to_string());
        panic!("{seen}logs are in {}", self.folder.display());
    }
}
