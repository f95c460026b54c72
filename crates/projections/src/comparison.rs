//! Compares two generations of a read model, row by row.

use eventstore::Position;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

/// Keys of rows that differ which are named.
const NAMED: i64 = 20;

/// How a generation that was made anew differs from the live one, at the same position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Up to where both had come; slots of keys may have been further.
    pub position: Position,
    /// Table by table.
    pub tables: Vec<TableComparison>,
    /// How many keys the live one had parked: rows of theirs are behind.
    pub parked_live: i64,
    /// How many keys the new one has parked.
    pub parked_new: i64,
}

/// How one table differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableComparison {
    /// Its name.
    pub table: String,
    /// Rows of the live one.
    pub live_rows: i64,
    /// Rows of the new one.
    pub new_rows: i64,
    /// All rows of the live one in one number.
    pub live_digest: i64,
    /// All rows of the new one in one number.
    pub new_digest: i64,
    /// How many rows are only in one of them, or differ.
    pub different: i64,
    /// Some of these.
    pub examples: Vec<RowDifference>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowDifference {
    /// Its primary key.
    pub key: String,
    /// The live row; none if only the new one has it.
    pub live: Option<String>,
    /// The new row; none if only the live one has it.
    pub new: Option<String>,
}

impl Comparison {
    /// Whether every row of every table is the same in both.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(|table| table.different == 0)
    }
}

/// Compares every table of the schema `live` with that of `new`, in the caller's snapshot.
pub(crate) async fn compare(
    connection: &mut PgConnection,
    live: &str,
    new: &str,
) -> Result<Vec<TableComparison>, sqlx::Error> {
    let tables = sqlx::query!(
        r#"
        SELECT c.relname::text AS "table!",
               array_agg(quote_ident(a.attname) ORDER BY k.ordinality) AS "key!"
        FROM pg_class AS c
        JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
        CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, ordinality)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r'
        GROUP BY c.relname
        ORDER BY c.relname
        "#,
        new,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut compared = Vec::with_capacity(tables.len());
    for row in tables {
        compared.push(compare_table(&mut *connection, live, new, &row.table, &row.key).await?);
    }
    Ok(compared)
}

async fn compare_table(
    connection: &mut PgConnection,
    live: &str,
    new: &str,
    table: &str,
    key: &[String],
) -> Result<TableComparison, sqlx::Error> {
    let columns = key.join(", ");
    let counts = format!(
        "SELECT count(l), count(n),
                coalesce(bit_xor(hashtextextended(l::text, 0)), 0),
                coalesce(bit_xor(hashtextextended(n::text, 0)), 0),
                count(*) FILTER (WHERE l::text IS DISTINCT FROM n::text)
         FROM {live}.\"{table}\" AS l FULL JOIN {new}.\"{table}\" AS n USING ({columns})"
    );
    let (live_rows, new_rows, live_digest, new_digest, different) =
        sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(AssertSqlSafe(counts))
            .fetch_one(&mut *connection)
            .await?;
    let mut examples = Vec::new();
    if different > 0 {
        let rows = format!(
            "SELECT concat_ws(', ', {columns}), l::text, n::text
             FROM {live}.\"{table}\" AS l FULL JOIN {new}.\"{table}\" AS n USING ({columns})
             WHERE l::text IS DISTINCT FROM n::text
             ORDER BY {columns}
             LIMIT {NAMED}"
        );
        let rows =
            sqlx::query_as::<_, (String, Option<String>, Option<String>)>(AssertSqlSafe(rows));
        let rows = rows.fetch_all(connection).await?.into_iter();
        examples.extend(rows.map(|(key, live, new)| RowDifference { key, live, new }));
    }
    let table = table.to_owned();
    Ok(TableComparison { table, live_rows, new_rows, live_digest, new_digest, different, examples })
}
