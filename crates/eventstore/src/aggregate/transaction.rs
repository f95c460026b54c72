//! Decisions inside of a transaction of the caller.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::decide::Held;
use super::{Aggregate, Command, Decided, ExecuteError, LoadError, Loaded, Repository, States};
use crate::{EventStore, Receipt, StreamId, StreamVersion};

/// By how many events a state in memory may be behind before a decision in somebody's transaction
/// has it read anew, for the next one.
const BEHIND: i64 = 32;

impl<A: Aggregate> Repository<A> {
    /// Decides over several streams and appends once, inside the caller's transaction, with the
    /// cost of [`EventStore::append_in`].
    ///
    /// # Errors
    /// As [`Repository::execute`]; a conflict is [`AppendError::Conflict`], and the caller begins
    /// its transaction again.
    pub async fn execute_in<E>(
        &self,
        connection: &mut PgConnection,
        ids: &[StreamId],
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut loaded = BTreeMap::new();
        for id in ids {
            loaded.insert(id.clone(), self.load_in(connection, id).await?);
        }
        let decided = match decide(&States(Held::OfTransaction(&loaded))) {
            Ok(decided) => decided,
            Err(rejection) => {
                let Command { id, fingerprint, .. } = *command;
                let known = EventStore::repeated_in(connection, id, fingerprint).await;
                let known = known.map_err(ExecuteError::Append)?;
                return known.ok_or(ExecuteError::Rejected(rejection));
            }
        };
        let versions = loaded.iter().map(|(id, loaded)| (id, loaded.version));
        let append = self.request(command, versions, &decided).await?;
        self.store().append_in(connection, &append).await.map_err(ExecuteError::Append)
    }

    /// The state of the stream `id` as a transaction sees it, which is its secret until it commits.
    async fn load_in(
        &self,
        connection: &mut PgConnection,
        id: &StreamId,
    ) -> Result<Loaded<A>, LoadError> {
        // Nobody waits for a slot here: who has it may wait for this very transaction.
        let known = self.cache.try_lock(id).and_then(|slot| slot.as_ref().cloned());
        let from = known.as_ref().map_or(StreamVersion::START, |known| known.version);
        let loaded = self.loader.load(connection, id, known).await?;
        if loaded.version.get() - from.get() > BEHIND
            && let Some(slot) = self.cache.try_lock(id)
            && let Some(mut connection) = self.store().pool().try_acquire()
        {
            let mut slots = BTreeMap::from([(id.clone(), slot)]);
            if let Err(error) = self.renew_on(&mut connection, slots.iter_mut()).await {
                tracing::warn!(stream.id = %id, error = %error, "a state in memory was not read anew");
            }
            self.settle(&slots);
        }
        Ok(loaded)
    }
}
