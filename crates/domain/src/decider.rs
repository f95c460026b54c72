//! The decider: the shape every rule of the domain takes.

use crate::{Event, Rejection, Stream};

/// Three pure functions over the history of the streams a command names.
///
/// Most commands name one stream, their aggregate's. A command whose rule spans several
/// aggregates (reserving stock of every product of an order) names them all; the append then
/// expects every one of them to be where it was when the decision was made, so the rule holds
/// without a lock or a compensation.
pub trait Decider {
    /// What is asked for, with every id and time it needs.
    type Command: Clone + Send + Sync + 'static;
    /// What the decision must know of the past.
    type State;
    /// Why the answer may be no.
    type Rejection: Into<Rejection>;

    /// The streams whose events the decision depends on, without repetition.
    fn streams(command: &Self::Command) -> Vec<Stream>;

    /// The state before anything has happened.
    fn initial() -> Self::State;

    /// The state after `event`; events of no interest leave it as it is.
    fn evolve(state: Self::State, event: &Event) -> Self::State;

    /// The events that follow from `command`; none if it asks for what already is.
    ///
    /// # Errors
    /// The rejection names the rule that forbids it.
    fn decide(state: &Self::State, command: Self::Command) -> Result<Vec<Event>, Self::Rejection>;
}

/// A command bound to its decider, with the types hidden so that different ones can be
/// decided together and appended as one.
pub trait Decision: Send + Sync {
    /// The streams whose events the decision depends on.
    fn streams(&self) -> Vec<Stream>;

    /// Decides on the events of [`Decision::streams`], given in log order.
    ///
    /// # Errors
    /// The rejection names the rule that forbids it.
    fn decide(&self, history: &[&Event]) -> Result<Vec<Event>, Rejection>;
}

/// Binds `command` to the decider `D`.
pub fn decision<D: Decider + 'static>(command: D::Command) -> Box<dyn Decision> {
    Box::new(Bound::<D>(command))
}

struct Bound<D: Decider>(D::Command);

impl<D: Decider> Decision for Bound<D> {
    fn streams(&self) -> Vec<Stream> {
        D::streams(&self.0)
    }

    fn decide(&self, history: &[&Event]) -> Result<Vec<Event>, Rejection> {
        let state = history.iter().copied().fold(D::initial(), D::evolve);
        D::decide(&state, self.0.clone()).map_err(Into::into)
    }
}
