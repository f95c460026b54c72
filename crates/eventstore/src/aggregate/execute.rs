//! Commands: decide, append, and again if somebody else was faster.

use std::collections::BTreeMap;

use super::cache::Slot;
use super::decide::Held;
use super::{Aggregate, Command, Decided, ExecuteError, Loaded, Repository, States};
use crate::{Append, AppendError, ExpectedVersion, NewEvent, Receipt, StreamId, StreamVersion};

impl<A: Aggregate> Repository<A> {
    /// Decides on the state of the stream `id` and appends what follows, deciding again when
    /// others were faster.
    ///
    /// A command whose id took effect before gives the receipt of that time, whatever would be
    /// decided now (law 3). When the answer of the append is lost, the receipt is looked up once
    /// (law 4). Commands on one stream in one process are decided one after the other, as long as
    /// its state is kept in memory.
    ///
    /// # Errors
    /// See [`ExecuteError`]. Only [`AppendError::Unconfirmed`] leaves open whether it had effect;
    /// the same command again is safe.
    pub async fn execute<E>(
        &self,
        id: &StreamId,
        command: &Command,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let decide = |states: &States<'_, A>| {
            let events = states.get(id).map_or_else(|| decide(&A::initial()), &decide)?;
            Ok(Decided::on(id, events))
        };
        self.execute_over(std::slice::from_ref(id), command, decide).await
    }

    /// [`Repository::execute`] over several streams: what is decided holds only if none of them
    /// has moved, also those that are not written; and what is rejected was so at one moment of the
    /// log.
    ///
    /// # Errors
    /// As [`Repository::execute`]. A condition that fails is not tried again: it is for the caller
    /// to read what it did not know of.
    pub async fn execute_over<E>(
        &self,
        ids: &[StreamId],
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut slots = self.cache.lock(ids).await;
        let outcome = self.execute_on(&mut slots, command, decide).await;
        self.settle(&slots);
        let error = match outcome {
            Ok(receipt) => return Ok(receipt),
            Err(error) => error,
        };
        if matches!(error, ExecuteError::Append(AppendError::Unconfirmed { .. })) {
            // Whoever answers next may be another server, and behind this one.
            self.forget();
        } else if !error.was_decided_here() {
            return Err(error);
        }
        match self.store().repeated(command.id, command.fingerprint).await {
            Ok(Some(receipt)) => Ok(receipt),
            Err(other @ AppendError::OtherBody { .. }) => Err(ExecuteError::Append(other)),
            Err(unknown) if error.was_decided_here() => Err(ExecuteError::Append(unknown)),
            Ok(None) | Err(_) => Err(error),
        }
    }

    async fn execute_on<E>(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let is_missing =
            |slot: &Slot<A>| !slot.as_ref().is_some_and(|loaded| self.loader.holds(loaded));
        let mut is_fresh = slots.values().all(is_missing);
        self.renew(slots, is_missing).await?;
        let mut attempts = 0;
        loop {
            let decided = match decide(&States(Held::InMemory(slots))) {
                Ok(decided) if is_fresh || !decided.is_empty() => decided,
                Err(rejection) if is_fresh => return Err(ExecuteError::Rejected(rejection)),
                // States that may be behind are no reason to do nothing.
                Ok(_) | Err(_) => {
                    self.renew(slots, |_| true).await?;
                    is_fresh = true;
                    continue;
                }
            };
            let versions = slots.iter().map(|(id, slot)| (id, version(slot)));
            let append = self.request(command, versions, &decided).await?;
            let sealed = self.loader.keyring.is_some().then(|| append.events.clone());
            attempts += 1;
            match self.store().append(append).await {
                Ok(receipt) => {
                    self.take_effect(slots, &receipt, &decided, sealed).await;
                    return Ok(receipt);
                }
                Err(AppendError::Conflict { stream, .. }) => {
                    if attempts >= self.settings.attempts {
                        return Err(ExecuteError::Contended { stream });
                    }
                    self.renew(slots, |_| true).await?;
                    is_fresh = true;
                }
                Err(error) => {
                    if matches!(error, AppendError::Unconfirmed { .. }) {
                        for slot in slots.values_mut() {
                            **slot = None;
                        }
                    }
                    return Err(ExecuteError::Append(error));
                }
            }
        }
    }

    pub(super) async fn request<'a, E>(
        &self,
        command: &Command,
        versions: impl Iterator<Item = (&'a StreamId, StreamVersion)>,
        decided: &Decided<A::Event>,
    ) -> Result<Append, ExecuteError<E>> {
        let expect = |(id, version): (&StreamId, _)| (id.clone(), ExpectedVersion::Exact(version));
        let expectations = versions.map(expect).collect();
        Ok(Append {
            expectations,
            events: self.loader.encode(decided).await?,
            conditions: decided.conditions.clone(),
            claims: decided.claims.clone(),
            releases: decided.releases.clone(),
            ..Append::new(command.id, command.fingerprint, command.metadata.clone())
        })
    }

    /// Brings the states in memory to where the append has brought their streams; `sealed` is what
    /// was written, if there is a keyring.
    async fn take_effect(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        receipt: &Receipt,
        decided: &Decided<A::Event>,
        sealed: Option<Vec<NewEvent>>,
    ) {
        for (id, version) in &receipt.streams {
            let Some(slot) = slots.get_mut(id) else { continue };
            let Some(loaded) = slot.take().filter(|_| !receipt.repeated) else { continue };
            let state = match &sealed {
                None => {
                    let events = decided.events.iter().filter(|(of, _)| of == id);
                    events.fold(loaded.state, |state, (_, event)| state.evolve(event))
                }
                Some(sealed) => match self.loader.reopen::<A::Event>(id, sealed).await {
                    Some(events) => events.iter().fold(loaded.state, A::evolve),
                    None => continue,
                },
            };
            let position = receipt.position;
            let mut loaded = Loaded { state, version: *version, position, ..loaded };
            self.keep_if_due(id, &mut loaded);
            **slot = Some(loaded);
        }
    }
}

fn version<A>(slot: &Slot<A>) -> StreamVersion {
    slot.as_ref().map_or(StreamVersion::START, |loaded| loaded.version)
}
