//! The rows of `eventstore.subject_keys`.

use sqlx::PgConnection;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::Subject;

/// The key of a subject as it is stored.
pub(super) struct Wrapped {
    pub(super) subject: Subject,
    pub(super) id: Uuid,
    pub(super) bytes: Vec<u8>,
    pub(super) by: String,
}

/// What a row says.
pub(super) enum Row {
    Key(Wrapped),
    Erased(Subject),
}

impl Row {
    pub(super) const fn subject(&self) -> &Subject {
        match self {
            Self::Key(key) => &key.subject,
            Self::Erased(subject) => subject,
        }
    }
}

struct KeyRow {
    subject: String,
    key_id: Option<Uuid>,
    wrapped_key: Option<Vec<u8>>,
    wrapped_by: Option<String>,
}

impl From<KeyRow> for Row {
    fn from(row: KeyRow) -> Self {
        let subject = Subject::recorded(row.subject.into());
        match (row.key_id, row.wrapped_key, row.wrapped_by) {
            (Some(id), Some(bytes), Some(by)) => Self::Key(Wrapped { subject, id, bytes, by }),
            _ => Self::Erased(subject),
        }
    }
}

/// What there is of `subjects`.
pub(super) async fn find(
    connection: &mut PgConnection,
    subjects: &[&str],
) -> Result<Vec<Row>, sqlx::Error> {
    let rows = sqlx::query_as!(
        KeyRow,
        r#"
        SELECT subject, key_id, wrapped_key, wrapped_by
        FROM eventstore.subject_keys
        WHERE subject = ANY ($1)
        "#,
        subjects as _,
    );
    Ok(rows.fetch_all(connection).await?.into_iter().map(Row::from).collect())
}

/// Adds keys for subjects of which there is nothing; leaves what there is. Sorted by subject, so
/// that two who add the same do not wait for each other in a circle.
pub(super) async fn add(
    connection: &mut PgConnection,
    keys: &[Wrapped],
) -> Result<(), sqlx::Error> {
    let subjects: Vec<&str> = keys.iter().map(|key| key.subject.as_str()).collect();
    let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
    let bytes: Vec<&[u8]> = keys.iter().map(|key| key.bytes.as_slice()).collect();
    let by: Vec<&str> = keys.iter().map(|key| key.by.as_str()).collect();
    sqlx::query!(
        r#"
        INSERT INTO eventstore.subject_keys (subject, key_id, wrapped_key, wrapped_by)
        SELECT subject, id, bytes, by
        FROM unnest($1::text[], $2::uuid[], $3::bytea[], $4::text[]) AS given (subject, id, bytes, by)
        ORDER BY subject
        ON CONFLICT (subject) DO NOTHING
        "#,
        &subjects as _,
        &ids,
        &bytes as _,
        &by as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The position of the last erasure, 0 if there is none.
pub(super) async fn last_erasure(listener: &mut PgListener) -> Result<i64, sqlx::Error> {
    let last = sqlx::query_scalar!("SELECT max(erased_position) FROM eventstore.subject_keys");
    Ok(last.fetch_one(listener).await?.unwrap_or_default())
}

/// The erasures after `position`, in order, at most `limit`.
pub(super) async fn erased_after(
    listener: &mut PgListener,
    position: i64,
    limit: i64,
) -> Result<Vec<(i64, Subject)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT erased_position AS "position!", subject
        FROM eventstore.subject_keys
        WHERE erased_position > $1
        ORDER BY erased_position
        LIMIT $2
        "#,
        position,
        limit,
    )
    .fetch_all(listener)
    .await?;
    Ok(rows.into_iter().map(|row| (row.position, Subject::recorded(row.subject.into()))).collect())
}

/// The key-encryption keys in use: a few looks at an index, however many subjects there are.
pub(super) async fn wrapping_keys(
    connection: &mut PgConnection,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        WITH RECURSIVE used AS (
            (SELECT wrapped_by FROM eventstore.subject_keys
             WHERE wrapped_by IS NOT NULL ORDER BY wrapped_by LIMIT 1)
            UNION ALL
            SELECT (SELECT k.wrapped_by FROM eventstore.subject_keys AS k
                    WHERE k.wrapped_by > used.wrapped_by ORDER BY k.wrapped_by LIMIT 1)
            FROM used
            WHERE used.wrapped_by IS NOT NULL
        )
        SELECT wrapped_by AS "wrapped_by!" FROM used WHERE wrapped_by IS NOT NULL
        "#
    )
    .fetch_all(connection)
    .await
}

/// Keys that `by` wraps, of subjects after `after`, in order.
pub(super) async fn wrapped_by(
    connection: &mut PgConnection,
    by: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Wrapped>, sqlx::Error> {
    let rows = sqlx::query_as!(
        KeyRow,
        r#"
        SELECT subject, key_id, wrapped_key, wrapped_by
        FROM eventstore.subject_keys
        WHERE wrapped_by = $1 AND subject > $2
        ORDER BY subject
        LIMIT $3
        "#,
        by,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let keys = rows.into_iter().filter_map(|row| match Row::from(row) {
        Row::Key(wrapped) => Some(wrapped),
        Row::Erased(_) => None,
    });
    Ok(keys.collect())
}

/// Replaces wrapped keys that are still as they were read; whose subject was erased meanwhile, or
/// who was wrapped anew by somebody else, stays as it is. Answers how many were replaced.
pub(super) async fn replace(
    connection: &mut PgConnection,
    old: &[Wrapped],
    new: &[Vec<u8>],
    by: &str,
) -> Result<u64, sqlx::Error> {
    let subjects: Vec<&str> = old.iter().map(|key| key.subject.as_str()).collect();
    let before: Vec<&[u8]> = old.iter().map(|key| key.bytes.as_slice()).collect();
    let replaced = sqlx::query!(
        r#"
        UPDATE eventstore.subject_keys AS k
        SET wrapped_key = given.after, wrapped_by = $4
        FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS given (subject, before, after)
        WHERE k.subject = given.subject AND k.wrapped_key = given.before
        "#,
        &subjects as _,
        &before as _,
        new,
        by,
    )
    .execute(connection)
    .await?;
    Ok(replaced.rows_affected())
}
