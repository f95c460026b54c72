//! What this publisher holds, in `relay.dead_letters`.
//!
//! Every change is a transaction that first makes sure that the lease is still ours and that nobody
//! takes it meanwhile: a late leader holds nothing and settles nothing.

use std::collections::HashSet;

use eventstore::answer;
use eventstore::answer::within;
use eventstore::{OutboxPlace, Position};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::trouble::Trouble;

/// The server ends a transaction from which it hears nothing for so long.
const END_IF_IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = '2500ms'";

/// Something that cannot be sent in its place.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) id: Uuid,
    pub(super) place: OutboxPlace,
    /// The stream it is about.
    pub(super) key: String,
    /// As the outbox says it; empty where the outbox says nothing any more.
    pub(super) subject: String,
    /// Of a message that is no event: the outbox may be retired before it is sent.
    pub(super) body: String,
    /// Why it failed, and after how many seconds it is tried again; nothing if it only comes behind
    /// another one of its key.
    pub(super) failed: Option<(String, f64)>,
}

/// A letter that is not in its place in the stream.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) place: OutboxPlace,
    pub(super) is_discarded: bool,
}

/// A letter that is tried now.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) id: i64,
    pub(super) key: String,
    pub(super) message_id: Uuid,
    pub(super) place: OutboxPlace,
    /// This attempt included.
    pub(super) attempts: i32,
    pub(super) subject: String,
    pub(super) body: Vec<u8>,
}

/// A letter of which the stream knows whether it was sent.
#[derive(Debug)]
pub(super) struct Unsure {
    pub(super) id: i64,
    pub(super) message_id: Uuid,
    pub(super) sequence: u64,
}

/// What became of an attempt at some letters before any of them was sent.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// They cannot be made; tried again after so many seconds, or dead.
    pub(super) failed: Vec<(i64, String, Option<f64>)>,
    /// They come behind one that failed: the attempt was not theirs.
    pub(super) returned: Vec<i64>,
    /// The public is not told of them.
    pub(super) silent: Vec<i64>,
    /// They are sent now, in this order.
    pub(super) sent: Vec<i64>,
}

/// The letters of a publisher that leads.
#[derive(Debug, Clone)]
pub(super) struct Letters {
    pool: PgPool,
    /// Named like the cursor.
    consumer: String,
    epoch: i64,
}

impl Letters {
    pub(super) const fn new(pool: PgPool, consumer: String, epoch: i64) -> Self {
        Self { pool, consumer, epoch }
    }

    /// A transaction in which the lease is ours until it ends.
    async fn transaction(&self) -> Result<Transaction<'static, Postgres>, Trouble> {
        let mut transaction = answer::begin(&self.pool, "BEGIN").await?;
        // One that is given up, or frozen, must not keep the lease from everybody else.
        sqlx::query(END_IF_IDLE).execute(&mut *transaction).await?;
        let leased = sqlx::query_scalar!(
            "SELECT epoch FROM eventstore.cursors WHERE name = $1 AND epoch = $2 FOR SHARE",
            self.consumer,
            self.epoch,
        );
        match leased.fetch_optional(&mut *transaction).await? {
            Some(_) => Ok(transaction),
            None => Err(Trouble::Fenced),
        }
    }

    /// All that is not in the stream.
    pub(super) async fn kept(&self) -> Result<Vec<Kept>, Trouble> {
        let rows = sqlx::query!(
            "SELECT key, position, ordinal, state FROM relay.dead_letters WHERE consumer = $1 AND state <> 'sent'",
            self.consumer,
        );
        let rows = within(rows.fetch_all(&self.pool)).await?.into_iter();
        Ok(rows
            .map(|row| Kept {
                key: row.key,
                place: place(row.position, row.ordinal),
                is_discarded: row.state == "discarded",
            })
            .collect())
    }

    /// The ids of all letters behind `after`, whatever became of them.
    pub(super) async fn ids(&self, after: OutboxPlace) -> Result<HashSet<Uuid>, Trouble> {
        let (position, ordinal) = columns(after);
        let ids = sqlx::query_scalar!(
            "SELECT message_id FROM relay.dead_letters WHERE consumer = $1 AND (position, ordinal) > ($2, $3)",
            self.consumer,
            position,
            ordinal,
        );
        Ok(within(ids.fetch_all(&self.pool)).await?.into_iter().collect())
    }

    /// Holds `aside`; what is held already stays as it is.
    pub(super) async fn hold(&self, aside: &[Aside]) -> Result<(), Trouble> {
        within(async {
            let mut transaction = self.transaction().await?;
            for one in aside {
                let (position, ordinal) = columns(one.place);
                let (error, again_after_s) = one.failed.clone().unzip();
                sqlx::query!(
                    r#"
                    INSERT INTO relay.dead_letters (
                        consumer, key, message_id, state, attempts, next_attempt_at, error,
                        last_attempt_at, subject, headers, body, position, ordinal
                    )
                    SELECT $1, $2, $3, CASE WHEN failed THEN 'retrying' ELSE 'waiting' END,
                           failed::integer, now + make_interval(secs => $5), $4,
                           CASE WHEN failed THEN now END, $6, '{}', $7, $8, $9
                    FROM (SELECT $4::text IS NOT NULL AS failed, clock_timestamp() AS now) AS given
                    ON CONFLICT (consumer, message_id) DO NOTHING
                    "#,
                    self.consumer,
                    one.key,
                    one.id,
                    error,
                    again_after_s,
                    one.subject,
                    one.body.as_bytes(),
                    position,
                    ordinal,
                )
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// Those that were sent and may have arrived since they were last looked at.
    pub(super) async fn unsure(&self) -> Result<Vec<Unsure>, Trouble> {
        let rows = sqlx::query!(
            r#"
            SELECT id, message_id, sent_sequence AS "sent_sequence!"
            FROM relay.dead_letters
            WHERE consumer = $1 AND sent_sequence IS NOT NULL AND state NOT IN ('sent', 'discarded')
            ORDER BY id
            "#,
            self.consumer
        );
        let rows = within(rows.fetch_all(&self.pool)).await?.into_iter();
        Ok(rows
            .map(|row| Unsure {
                id: row.id,
                message_id: row.message_id,
                sequence: u64::try_from(row.sent_sequence).unwrap_or_default(),
            })
            .collect())
    }

    /// Takes over what the stream says: it holds the letters `arrived`, ends at `last_sequence`, and
    /// is read on behind `resumed`.
    ///
    /// What was sent and is not there comes to the front of its key again; where it will be read
    /// again, it is forgotten instead. One that was to be sent where the stream has not come to yet
    /// may still arrive there, from a leader that is late, so that place is remembered.
    pub(super) async fn settle(
        &self,
        arrived: &[i64],
        last_sequence: u64,
        resumed: OutboxPlace,
    ) -> Result<(), Trouble> {
        let last_sequence = i64::try_from(last_sequence).unwrap_or(i64::MAX);
        let (position, ordinal) = columns(resumed);
        within(async {
            let mut transaction = self.transaction().await?;
            sqlx::query!(
                "UPDATE relay.dead_letters SET state = 'sent', next_attempt_at = NULL WHERE id = ANY ($1) AND state <> 'discarded'",
                arrived,
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!(
                r#"
                UPDATE relay.dead_letters
                SET state = CASE state WHEN 'sending' THEN 'waiting' ELSE state END,
                    attempts = CASE state WHEN 'sending' THEN greatest(attempts - 1, 0) ELSE attempts END,
                    sent_sequence = CASE WHEN sent_sequence > $2 THEN sent_sequence END
                WHERE consumer = $1 AND sent_sequence IS NOT NULL AND state NOT IN ('sent', 'discarded')
                "#,
                self.consumer,
                last_sequence,
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!(
                r#"
                DELETE FROM relay.dead_letters
                WHERE consumer = $1 AND state = 'sent' AND (position, ordinal) > ($2, $3)
                "#,
                self.consumer,
                position,
                ordinal,
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!(
                r#"
                UPDATE relay.dead_letters
                SET state = 'waiting', attempts = 0, sent_sequence = NULL
                WHERE consumer = $1 AND state = 'sent' AND sent_sequence > $2
                "#,
                self.consumer,
                last_sequence,
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// Whether [`Letters::begin`] would find some.
    pub(super) async fn are_due(&self, after: OutboxPlace) -> Result<bool, Trouble> {
        let (position, ordinal) = columns(after);
        let are_due = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM (
                    SELECT DISTINCT ON (letter.key) letter.*
                    FROM relay.dead_letters AS letter
                    WHERE letter.consumer = $1 AND letter.state NOT IN ('sent', 'discarded')
                    ORDER BY letter.key, letter.position, letter.ordinal
                ) AS first
                WHERE (first.state = 'waiting'
                       OR first.state = 'retrying' AND first.next_attempt_at <= clock_timestamp())
                  AND (first.position, first.ordinal) <= ($2, $3)
            ) AS "are_due!"
            "#,
            self.consumer,
            position,
            ordinal,
        );
        Ok(within(are_due.fetch_one(&self.pool)).await?)
    }

    /// Counts an attempt at letters up to `to` that are due, at most `limit`, and gives them in
    /// order: of each key the first one alone if it failed before, or those ahead that only waited.
    /// If nothing is heard of the attempt they are due again after `pause_s`.
    pub(super) async fn begin(
        &self,
        to: OutboxPlace,
        limit: i64,
        pause_s: f64,
    ) -> Result<Vec<Letter>, Trouble> {
        let (position, ordinal) = columns(to);
        within(async {
            let mut transaction = self.transaction().await?;
            let rows = sqlx::query!(
                r#"
                WITH held AS (
                    SELECT letter.id, letter.state, letter.next_attempt_at, letter.position, letter.ordinal,
                           row_number() OVER of_key = 1 AS is_first,
                           bool_and(letter.state = 'waiting') OVER of_key AS only_waited
                    FROM relay.dead_letters AS letter
                    WHERE letter.consumer = $1 AND letter.state NOT IN ('sent', 'discarded')
                    WINDOW of_key AS (PARTITION BY letter.key ORDER BY letter.position, letter.ordinal)
                ),
                due AS (
                    SELECT held.id, held.state
                    FROM held
                    WHERE (held.only_waited
                           OR held.is_first AND held.state = 'retrying'
                              AND held.next_attempt_at <= clock_timestamp())
                      AND (held.position, held.ordinal) <= ($2, $3)
                    ORDER BY held.position, held.ordinal
                    LIMIT $4
                )
                UPDATE relay.dead_letters AS letter
                SET state = 'retrying',
                    attempts = letter.attempts + 1,
                    last_attempt_at = clock_timestamp(),
                    next_attempt_at = clock_timestamp() + make_interval(secs => $5)
                FROM due
                WHERE letter.id = due.id AND letter.state = due.state
                RETURNING letter.id, letter.key, letter.message_id, letter.position, letter.ordinal,
                          letter.attempts, letter.subject, letter.body
                "#,
                self.consumer,
                position,
                ordinal,
                limit,
                pause_s,
            );
            let rows = rows.fetch_all(&mut *transaction).await?.into_iter();
            let mut letters: Vec<Letter> = rows
                .map(|row| Letter {
                    id: row.id,
                    key: row.key,
                    message_id: row.message_id,
                    place: place(row.position, row.ordinal),
                    attempts: row.attempts,
                    subject: row.subject,
                    body: row.body,
                })
                .collect();
            transaction.commit().await?;
            letters.sort_by_key(|letter| letter.place);
            Ok(letters)
        })
        .await
    }

    /// Writes down what became of an attempt, and where those that are sent now will be in the
    /// stream, which is at `last_sequence`; answers with those of them that are still to be sent,
    /// in order.
    pub(super) async fn prepared(
        &self,
        attempt: &Prepared,
        last_sequence: u64,
    ) -> Result<Vec<i64>, Trouble> {
        within(async {
            let mut transaction = self.transaction().await?;
            for (id, error, again_after_s) in &attempt.failed {
                fail(&mut transaction, *id, error, *again_after_s).await?;
            }
            sqlx::query!(
                r#"
                UPDATE relay.dead_letters
                SET state = 'waiting', attempts = greatest(attempts - 1, 0), next_attempt_at = NULL
                WHERE id = ANY ($1) AND state = 'retrying'
                "#,
                &attempt.returned,
            )
            .execute(&mut *transaction)
            .await?;
            sqlx::query!(
                "DELETE FROM relay.dead_letters WHERE id = ANY ($1) AND state = 'retrying'",
                &attempt.silent,
            )
            .execute(&mut *transaction)
            .await?;
            let sent = sqlx::query_scalar!(
                r#"
                SELECT id
                FROM relay.dead_letters
                WHERE id = ANY ($1) AND state = 'retrying'
                ORDER BY position, ordinal
                FOR UPDATE
                "#,
                &attempt.sent,
            );
            let sent = sent.fetch_all(&mut *transaction).await?;
            sqlx::query!(
                r#"
                UPDATE relay.dead_letters AS letter
                SET state = 'sending', next_attempt_at = NULL, sent_sequence = $2 + given.nth
                FROM unnest($1::bigint[]) WITH ORDINALITY AS given (id, nth)
                WHERE letter.id = given.id
                "#,
                &sent,
                i64::try_from(last_sequence).unwrap_or(i64::MAX),
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(sent)
        })
        .await
    }

    /// The letters `ids`, which were on their way, are in the stream.
    pub(super) async fn sent(&self, ids: &[i64]) -> Result<(), Trouble> {
        within(async {
            let mut transaction = self.transaction().await?;
            sqlx::query!(
                "UPDATE relay.dead_letters SET state = 'sent', error = NULL WHERE id = ANY ($1) AND state = 'sending'",
                ids
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }

    /// The letter `id`, which was on its way, was refused: it is tried again after
    /// `again_after_s`, or is dead without it.
    pub(super) async fn refused(
        &self,
        id: i64,
        error: &str,
        again_after_s: Option<f64>,
    ) -> Result<(), Trouble> {
        within(async {
            let mut transaction = self.transaction().await?;
            fail(&mut transaction, id, error, again_after_s).await?;
            transaction.commit().await?;
            Ok(())
        })
        .await
    }
}

async fn fail(
    transaction: &mut Transaction<'static, Postgres>,
    id: i64,
    error: &str,
    again_after_s: Option<f64>,
) -> Result<(), Trouble> {
    sqlx::query!(
        r#"
        UPDATE relay.dead_letters
        SET state = CASE WHEN $3::double precision IS NULL THEN 'dead' ELSE 'retrying' END,
            error = $2,
            next_attempt_at = clock_timestamp() + make_interval(secs => $3)
        WHERE id = $1 AND state IN ('retrying', 'sending')
        "#,
        id,
        error,
        again_after_s,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn place(position: i64, ordinal: i32) -> OutboxPlace {
    OutboxPlace::within(Position::new(position), u16::try_from(ordinal).unwrap_or_default())
}

fn columns(place: OutboxPlace) -> (i64, i32) {
    (place.position().get(), i32::from(place.ordinal()))
}
