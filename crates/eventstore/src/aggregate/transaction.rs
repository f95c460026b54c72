//! Decisions inside of a transaction of the caller.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::decide::Held;
use super::{Aggregate, Command, Decided, ExecuteError, LoadError, Loaded, Repository, States};
use crate::{EventStore, Position, Receipt, StreamId, StreamVersion};

/// By how many events a state in memory may be behind before a decision in somebody's transaction
/// has it read anew, for the next one.
const BEHIND: i64 = 32;

impl<A: Aggregate> Repository<A> {
    /// Decides over several streams and appends once, inside the caller's transaction, with the
    /// cost of [`EventStore::append_in`]. The first personal data of a subject asks the pool for
    /// another connection: its key must be there whatever becomes of the transaction.
    ///
    /// # Errors
    /// As [`Repository::execute`]; a conflict is
    /// [`AppendError::Conflict`](crate::AppendError::Conflict), and the caller begins its
    /// transaction again.
    pub async fn execute_in<E>(
        &self,
        connection: &mut PgConnection,
        ids: &[StreamId],
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut loaded = BTreeMap::new();
        // Nobody waits for a slot here: who has it may wait for this very transaction.
        let in_memory = |id| self.cache.try_lock(id).and_then(|slot| slot.as_ref().cloned());
        let known: Vec<_> = ids.iter().map(|id| (id, in_memory(id))).collect();
        // Behind what is in memory, so that all of it is of one moment.
        let end = self.loader.end_for(connection, ids.iter()).await?;
        for (id, known) in known {
            loaded.insert(id.clone(), self.load_in(connection, id, known, end).await?);
        }
        let outcome = self.append_decided(connection, &loaded, command, decide).await;
        match outcome {
            Err(error) if error.was_decided_here() => {
                let Command { id, fingerprint, .. } = *command;
                let known = EventStore::repeated_in(connection, id, fingerprint).await;
                known.map_err(ExecuteError::Append)?.ok_or(error)
            }
            outcome => outcome,
        }
    }

    async fn append_decided<E>(
        &self,
        connection: &mut PgConnection,
        loaded: &BTreeMap<StreamId, Loaded<A>>,
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let decided = decide(&States(Held::OfTransaction(loaded)));
        let decided = decided.map_err(ExecuteError::Rejected)?;
        let versions = loaded.iter().map(|(id, loaded)| (id, loaded.version));
        let append = self.request(command, versions, &decided).await?;
        self.store().append_in(connection, &append).await.map_err(ExecuteError::Append)
    }

    /// The state of the stream `id` as a transaction sees it, which is its secret until it commits.
    async fn load_in(
        &self,
        connection: &mut PgConnection,
        id: &StreamId,
        known: Option<Loaded<A>>,
        end: Position,
    ) -> Result<Loaded<A>, LoadError> {
        let from = known.as_ref().map_or(StreamVersion::START, |known| known.version);
        let loaded = self.loader.load(connection, id, known, end).await?;
        if loaded.version.get() - from.get() > BEHIND
            && let Some(mut slot) = self.cache.try_lock(id)
            && let Some(mut connection) = self.store().pool().try_acquire()
            && let Err(error) = self.renew_on(&mut connection, vec![(id, &mut slot)]).await
        {
            tracing::warn!(stream.id = %id, error = %error, "a state in memory was not read anew");
        }
        Ok(loaded)
    }
}
