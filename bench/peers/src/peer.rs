//! What a peer has to do to be measured; each has a file of its own.

pub(crate) mod disintegrate_postgres;
pub(crate) mod evento;
pub(crate) mod postgres_es;

use anyhow::Result;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::args::Settings;
use crate::scratch::Scratch;
use crate::sightings::Sightings;

/// How an attempt to append ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The event is durable.
    Done,
    /// Nothing was stored, because of somebody else; whoever wants it must try again.
    Conflict,
}

/// A stream to be made before the measurement.
#[derive(Clone, Debug)]
pub(crate) struct NewStream {
    pub(crate) id: Uuid,
    /// The numbers of its events.
    pub(crate) numbers: std::ops::Range<u64>,
}

/// An event store. Clones share their connections.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Connects to an empty database and makes the peer's schema.
    fn open(scratch: &Scratch, settings: Settings) -> impl Future<Output = Result<Self>> + Send;

    /// The id of a new stream. Ids in order of time are the best for most indexes.
    fn new_id() -> Uuid {
        Uuid::now_v7()
    }

    /// Appends the event `number` to `stream`, if that is new. Only if the settings say unchecked,
    /// whether it is new does not matter.
    fn append(&self, stream: Uuid, number: u64) -> impl Future<Output = Result<Attempt>> + Send;

    /// Loads the customer `id` from its events, lets it decide on the order `number`, and appends
    /// what it decided if nobody else has appended since.
    fn command(&self, id: Uuid, number: u64) -> impl Future<Output = Result<Attempt>> + Send;

    /// Stores these streams, somehow.
    fn preload(&self, streams: &[NewStream]) -> impl Future<Output = Result<()>> + Send;
}

/// A peer whose events have one order over all streams, in which they can be read and followed.
pub(crate) trait Log: Peer {
    /// The peer with the events and the handlers of a read model.
    type Projector: Projector;

    /// Reads and decodes all events in order, and answers how many there were.
    fn replay(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Follows all events from the first on, until told to stop.
    fn follow(
        &self,
        sightings: Sightings,
        stop: oneshot::Receiver<()>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A peer that makes a read model from its own log, and remembers durably how far it is. Its
/// handlers write to the table of [`crate::orders_view`]. Clones share their connections.
pub(crate) trait Projector: Clone + Send + Sync + 'static {
    /// Connects to an empty database and makes the peer's schema.
    fn open(scratch: &Scratch, settings: Settings) -> impl Future<Output = Result<Self>> + Send;

    /// Stores these orders, somehow: of the two numbers of each the first places it, the second
    /// confirms it.
    fn preload(&self, orders: &[NewStream]) -> impl Future<Output = Result<()>> + Send;

    /// Applies all events from the first on, and goes on until told to stop.
    fn project(&self, stop: oneshot::Receiver<()>) -> impl Future<Output = Result<()>> + Send;

    /// Whether its checkpoint says that the whole log is applied.
    fn is_at_the_end(&self) -> impl Future<Output = Result<bool>> + Send;
}
