//! The decider: the shape every rule of the domain takes.

use crate::{Aggregates, Event, Rejection, Stream};

/// A command that decides what follows from it: a pure function over the aggregates it names.
///
/// Most commands name one stream, their aggregate's. A command whose rule spans several
/// aggregates (reserving stock of every product of an order) names them all; the append then
/// expects every one of them to be where it was when the decision was made, so the rule holds
/// without a lock or a compensation.
///
/// A command carries every id and time it needs.
pub trait Decider: Send + Sync {
    /// Why the answer may be no.
    type Rejection: Into<Rejection>;

    /// The streams of the aggregates the decision depends on, without repetition.
    fn streams(&self) -> Vec<Stream>;

    /// The events that follow from it, on streams it names; none if it asks for what already is.
    ///
    /// # Errors
    /// The rejection names the rule that forbids it.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Self::Rejection>;
}

/// A [`Decider`] with its rejection among all others, so that different ones can be decided
/// together and appended as one.
pub trait Decision: Send + Sync {
    /// What people call it, for example `PlaceOrder`. Nothing depends on it.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }

    /// See [`Decider::streams`].
    fn streams(&self) -> Vec<Stream>;

    /// See [`Decider::decide`].
    ///
    /// # Errors
    /// The rejection names the rule that forbids it.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection>;
}

impl<D: Decider> Decision for D {
    fn streams(&self) -> Vec<Stream> {
        Decider::streams(self)
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        Decider::decide(self, aggregates).map_err(Into::into)
    }
}
