//! Each time a read model is made from the log is a generation of it.
//!
//! One generation is live: queries read it, in the schema that is named like the read model. One may
//! be in the making, and one that was replaced may be kept; those have schemas of their own. What
//! becomes live, and when, is [`crate::rebuild`]'s business.

use chrono::{DateTime, Utc};
use eventstore::answer::{self, within};
use eventstore::{EventStore, Position};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::Projection;
use crate::slots::SLOTS;
use crate::tenant::ROLE;

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being made.
    Building,
    /// It is made, and waits for somebody to make it live.
    Built,
    /// Queries read it.
    Live,
    /// Another one replaced it; it can be made live again.
    Retired,
}

/// One making of a read model.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Rises.
    pub id: i64,
    /// Of what, for example `orders_v4`.
    pub model: String,
    /// What it is for.
    pub state: State,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it was last made live.
    pub live_at: Option<DateTime<Utc>>,
    /// Whether it is only made to be compared with the live one.
    pub is_to_verify: bool,
    /// Whether its making rests.
    pub paused: bool,
    /// Everything up to here has taken effect in all of its slots.
    pub position: Position,
}

impl State {
    /// Its name in the database and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Built => "built",
            Self::Live => "live",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "building" => Self::Building,
            "built" => Self::Built,
            "live" => Self::Live,
            _ => Self::Retired,
        }
    }
}

impl Generation {
    /// The schema that holds its tables.
    #[must_use]
    pub fn schema(&self) -> String {
        match self.state {
            State::Live => self.model.clone(),
            State::Building | State::Built | State::Retired => schema_of(&self.model, self.id),
        }
    }
}

/// The schema of the generation `id` of `model` while it is not live.
pub(crate) fn schema_of(model: &str, id: i64) -> String {
    format!("{model}_g{id}")
}

/// The generations of `model`, the oldest first.
///
/// # Errors
/// The database cannot be reached.
pub async fn of(pool: &PgPool, model: &str) -> Result<Vec<Generation>, sqlx::Error> {
    within(async { of_in(&mut *pool.acquire().await?, model).await }).await
}

/// [`of`] on a connection of the caller.
pub(crate) async fn of_in(
    connection: &mut PgConnection,
    model: &str,
) -> Result<Vec<Generation>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT g.id, g.model, g.state, g.purpose, g.created_at, g.live_at, g.paused,
               (SELECT min(s.position) FROM projections.slots AS s WHERE s.generation = g.id) AS position
        FROM projections.generations AS g
        WHERE g.model = $1
        ORDER BY g.id
        "#,
        model,
    )
    .fetch_all(connection)
    .await?;
    let generations = rows.into_iter().map(|row| Generation {
        id: row.id,
        model: row.model,
        state: State::parse(&row.state),
        is_to_verify: row.purpose == "verify",
        created_at: row.created_at,
        live_at: row.live_at,
        paused: row.paused,
        position: Position::new(row.position.unwrap_or_default()),
    });
    Ok(generations.collect())
}

/// The generation of `model` that is in `state`, if there is one; of retired ones the last.
pub(crate) async fn find(
    connection: &mut PgConnection,
    model: &str,
    state: State,
) -> Result<Option<Generation>, sqlx::Error> {
    let generations = of_in(connection, model).await?;
    Ok(generations.into_iter().rfind(|generation| generation.state == state))
}

/// Sees to it that every read model is there or in the making; safe to repeat, and at the same time.
///
/// Where nothing has happened yet there is nothing to make, and an empty read model is live at once.
/// Otherwise one that is new is begun, and is made from the log by whoever keeps it; until then there
/// is nothing to query.
///
/// # Errors
/// The database cannot be reached, or refuses the tables.
pub async fn prepare(pool: &PgPool, projections: &[&Projection]) -> Result<(), sqlx::Error> {
    for projection in projections {
        let model = projection.model();
        let mut transaction = answer::begin(pool, "BEGIN").await?;
        lock(&mut transaction, &model).await?;
        crate::rebuild::drop_abandoned(&mut transaction, &model).await?;
        let known = of_in(&mut transaction, &model).await?;
        // Those of before there was that role.
        for generation in &known {
            let schema = generation.schema();
            let may = sqlx::query_scalar!(
                r#"SELECT has_schema_privilege($1, $2, 'USAGE') AS "may!""#,
                ROLE,
                schema,
            );
            if !may.fetch_one(&mut *transaction).await? {
                let_ask(&mut transaction, &schema).await?;
            }
        }
        let is_there = known
            .iter()
            .any(|known| matches!(known.state, State::Live | State::Building | State::Built));
        if !is_there {
            if EventStore::head_in(&mut transaction).await? == Position::START {
                create(&mut transaction, projection, State::Live, None).await?;
            } else {
                create(&mut transaction, projection, State::Building, None).await?;
            }
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Keeps others from changing which generations of `model` there are, until the end of the transaction.
pub(crate) async fn lock(connection: &mut PgConnection, model: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext($1))", format!("generations of {model}"))
        .execute(connection)
        .await?;
    Ok(())
}

/// Begins a generation, with empty tables, in the caller's transaction, which holds [`lock`].
pub(crate) async fn create(
    connection: &mut PgConnection,
    projection: &Projection,
    state: State,
    conductor: Option<uuid::Uuid>,
) -> Result<i64, sqlx::Error> {
    let model = projection.model();
    let id = sqlx::query_scalar!(
        r#"
        WITH generation AS (
            INSERT INTO projections.generations (model, state, conductor, epoch, live_at)
            VALUES ($1, $2, $3, 1, CASE WHEN $2 = 'live' THEN clock_timestamp() END)
            RETURNING id
        ), slots AS (
            INSERT INTO projections.slots (generation, slot)
            SELECT generation.id, slot FROM generation, generate_series(0, $4::smallint - 1) AS slot
        )
        SELECT id AS "id!" FROM generation
        "#,
        model,
        state.as_str(),
        conductor,
        SLOTS,
    )
    .fetch_one(&mut *connection)
    .await?;
    let schema = match state {
        State::Live => model,
        State::Building | State::Built | State::Retired => schema_of(&model, id),
    };
    let tables = format!(
        "CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}; {}; SET LOCAL search_path = DEFAULT",
        projection.schema,
    );
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut *connection).await?;
    let_ask(connection, &schema).await?;
    Ok(id)
}

/// Lets queries read the tables of `schema`; what they see of them is for policies to say.
async fn let_ask(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let granted = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}"
    );
    sqlx::raw_sql(AssertSqlSafe(granted)).execute(connection).await?;
    Ok(())
}

/// Drops a generation that is not live, with its tables.
pub(crate) async fn drop(
    connection: &mut PgConnection,
    model: &str,
    id: i64,
) -> Result<(), sqlx::Error> {
    // In the order of those who fill it, who move slots before they touch tables: so this waits for
    // the batches in hand, and what comes later finds no slots.
    sqlx::query!(
        "SELECT slot FROM projections.slots WHERE generation = $1 ORDER BY slot FOR UPDATE",
        id
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM projections.generations WHERE id = $1 AND state <> 'live'", id)
        .execute(&mut *connection)
        .await?;
    let schema = schema_of(model, id);
    lock_tables(&mut *connection, &schema).await?;
    let schema = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(connection).await?;
    Ok(())
}

/// Waits for whoever reads the tables of `schema`, in the order in which they are compared: dropped in
/// an order of its own, each could have what the other waits for.
async fn lock_tables(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let tables: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname)
         FROM pg_class AS c
         WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r'",
    )
    .bind(schema)
    .fetch_one(&mut *connection)
    .await?;
    if let Some(tables) = tables {
        let locked = format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE");
        sqlx::raw_sql(AssertSqlSafe(locked)).execute(connection).await?;
    }
    Ok(())
}
