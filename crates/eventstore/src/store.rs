//! The store: the log of one database.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use crate::answer::within;
use crate::append::receipt;
use crate::append::writer::Writer;
use crate::partitions::Partitions;
use crate::{
    Append, AppendError, Claim, CommandId, Fingerprint, LogId, Position, Receipt, StreamId,
};

/// The log of one database. Clones share the pool and the queue of the writer.
#[derive(Debug, Clone)]
pub struct EventStore {
    pool: PgPool,
    writer: Writer,
    partitions: Partitions,
    log_id: LogId,
}

impl EventStore {
    /// Opens the log that `pool` leads to; its tables must be there.
    ///
    /// The writing task runs on the current runtime until the last clone is dropped and everything
    /// in the queue is answered.
    ///
    /// # Errors
    /// The database cannot be reached, or holds no log.
    pub async fn open(pool: PgPool) -> Result<Self, sqlx::Error> {
        let log = sqlx::query!("SELECT id, partition_events, outbox_positions FROM eventstore.log");
        let log = log.fetch_one(&pool).await?;
        let partitions =
            Partitions::new(pool.clone(), log.partition_events.min(log.outbox_positions));
        let writer = Writer::start(pool.clone(), partitions.clone());
        Ok(Self { pool, writer, partitions, log_id: LogId::new(log.id) })
    }

    /// The connections it uses.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) const fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    /// Which log this is.
    #[must_use]
    pub const fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Appends everything a command writes, or nothing; answers when it is durable.
    ///
    /// Concurrent calls share commits. Dropping the future does not take the append back.
    ///
    /// # Errors
    /// See [`AppendError`]; each variant says whether something may have been written and what
    /// to do.
    #[tracing::instrument(name = "eventstore.append", skip_all, fields(command.id = %append.command_id))]
    pub async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        self.writer.append(append).await
    }

    /// The stream that holds the value of `claim`, whichever that is.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn holder(&self, claim: &Claim) -> Result<Option<StreamId>, sqlx::Error> {
        let holder = sqlx::query_scalar!(
            "SELECT stream FROM eventstore.claims WHERE namespace = $1 AND value = $2",
            claim.namespace,
            claim.value,
        );
        let holder = within(holder.fetch_optional(&self.pool)).await?;
        Ok(holder.map(|stream| StreamId::recorded(stream.into())))
    }

    /// What the command `id` did, if it took effect. If there is none, it may take effect yet: an
    /// append that got no answer can still be waiting for its turn.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn receipt(&self, id: CommandId) -> Result<Option<Receipt>, sqlx::Error> {
        within(async { receipt::find(&mut *self.pool.acquire().await?, id).await }).await
    }

    /// The receipt of the command `id`, if it took effect and asked for the same.
    ///
    /// # Errors
    /// [`AppendError::OtherBody`]: it took effect, but asked for something else.
    /// [`AppendError::Unavailable`]: the database cannot be reached.
    pub async fn repeated(
        &self,
        id: CommandId,
        fingerprint: Fingerprint,
    ) -> Result<Option<Receipt>, AppendError> {
        let unavailable = |source| AppendError::Unavailable { source: Arc::new(source) };
        let known = within(async {
            let mut connection = self.pool.acquire().await?;
            Ok(Self::repeated_in(&mut connection, id, fingerprint).await)
        });
        known.await.map_err(unavailable)?
    }

    /// [`EventStore::repeated`] on a connection of the caller.
    ///
    /// # Errors
    /// As [`EventStore::repeated`].
    pub async fn repeated_in(
        connection: &mut PgConnection,
        id: CommandId,
        fingerprint: Fingerprint,
    ) -> Result<Option<Receipt>, AppendError> {
        let unavailable = |source| AppendError::Unavailable { source: Arc::new(source) };
        let known = receipt::find_fingerprint(connection, id).await.map_err(unavailable)?;
        match known {
            Some(known) if known != fingerprint.as_bytes() => {
                Err(AppendError::OtherBody { command_id: id })
            }
            Some(_) => receipt::find(connection, id).await.map_err(unavailable),
            None => Ok(None),
        }
    }

    /// The position of the last event, [`Position::START`] if there is none.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn head(&self) -> Result<Position, sqlx::Error> {
        within(async { Self::head_in(&mut *self.pool.acquire().await?).await }).await
    }

    /// [`EventStore::head`] on a connection of the caller.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn head_in(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
        let head = sqlx::query_scalar!("SELECT max(position) FROM eventstore.events")
            .fetch_one(connection)
            .await?;
        Ok(Position::new(head.unwrap_or_default()))
    }
}
