//! Holds the live generation still for a moment: to compare with it, or to replace it.

use std::collections::BTreeMap;

use eventstore::{EventStore, Position, answer};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::fill::{Filler, NotOurs};
use crate::generation::{self, Generation, State, schema_of};
use crate::slots::Held;

/// Why a moment with the live generation was not had, or what was made did not become live.
#[derive(Debug, thiserror::Error)]
pub(super) enum SwitchError {
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("hold the live generation still")]
    Database(#[from] sqlx::Error),
}

/// A live generation that nobody moves until this is dropped.
pub(super) struct Still {
    transaction: Transaction<'static, Postgres>,
    pub(super) live: Option<Generation>,
    /// Where each of its slots is.
    pub(super) places: BTreeMap<i16, Position>,
    pub(super) parked: i64,
}

impl Still {
    /// Holds the live generation of `model` still, after the batches in hand; there may be none.
    pub(super) async fn hold(pool: &PgPool, model: &str) -> Result<Self, sqlx::Error> {
        let begin = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";
        let mut transaction = answer::begin(pool, begin).await?;
        generation::lock(&mut transaction, model).await?;
        let live = generation::find(&mut transaction, model, State::Live).await?;
        let slots = sqlx::query!(
            "SELECT slot, position, parked FROM projections.slots WHERE generation = $1 ORDER BY slot FOR UPDATE",
            live.as_ref().map(|live| live.id),
        )
        .fetch_all(&mut *transaction)
        .await?;
        let parked = slots.iter().map(|row| i64::from(row.parked)).sum();
        let places = slots.into_iter().map(|row| (row.slot, Position::new(row.position))).collect();
        Ok(Self { transaction, live, places, parked })
    }

    /// Makes what `held` is of live instead, once it has come to the end of the log.
    pub(super) async fn replace(
        mut self,
        filler: &Filler,
        held: &mut Held,
        model: &str,
        epoch: i64,
    ) -> Result<Position, SwitchError> {
        // At or beyond the live one, which is held still: what was seen stays seen. A live one that
        // fell behind, or that nobody follows, does not hold the new one back.
        let end = EventStore::head_in(&mut self.transaction).await?;
        filler.at_once().fill(held, 1, end).await?;
        let connection = &mut *self.transaction;
        if let Some(live) = &self.live {
            // Only the last one that was replaced is kept.
            for known in generation::of_in(&mut *connection, model).await? {
                if known.state == State::Retired {
                    generation::drop(&mut *connection, model, known.id).await?;
                }
            }
            retire(&mut *connection, live).await?;
        }
        let made = sqlx::query!(
            r#"
            UPDATE projections.generations
            SET state = 'live', live_at = clock_timestamp(), conductor = NULL, trouble = NULL
            WHERE id = $1 AND epoch = $2 AND state = 'building' AND NOT paused
            "#,
            held.generation,
            epoch,
        )
        .execute(&mut *connection)
        .await?;
        if made.rows_affected() == 0 {
            return Err(NotOurs.into());
        }
        free(&mut *connection, held.generation).await?;
        let rename =
            format!("ALTER SCHEMA {} RENAME TO {model}", schema_of(model, held.generation));
        sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut *connection).await?;
        sqlx::query!("SELECT pg_notify('projections_changed', '')")
            .fetch_one(&mut *connection)
            .await?;
        self.transaction.commit().await?;
        Ok(end)
    }
}

async fn retire(connection: &mut PgConnection, live: &Generation) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE projections.generations SET state = 'retired' WHERE id = $1", live.id)
        .execute(&mut *connection)
        .await?;
    free(&mut *connection, live.id).await?;
    let rename =
        format!("ALTER SCHEMA {} RENAME TO {}", live.model, schema_of(&live.model, live.id));
    sqlx::raw_sql(AssertSqlSafe(rename)).execute(connection).await?;
    Ok(())
}

/// Fences whoever moves the slots of `generation`; others may take them if it is live.
async fn free(connection: &mut PgConnection, generation: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE projections.slots SET owner = NULL, epoch = epoch + 1 WHERE generation = $1",
        generation,
    )
    .execute(connection)
    .await?;
    Ok(())
}
