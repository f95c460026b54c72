//! Aggregates: what the events of one stream add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Product;
use crate::identity::{ApiKey, Role, Session, User};
use crate::inventory::{Reservation, Stock};
use crate::ordering::Order;
use crate::organizations::Organization;
use crate::{Event, Stream};

/// What the events of one stream add up to; [`Default`] is the state before anything has happened.
///
/// As JSON it is kept in snapshots and shown to auditors: when its shape or its meaning changes,
/// [`STATE_VERSION`] is raised.
pub trait Aggregate: Clone + Default {
    /// The category of its streams.
    const CATEGORY: &'static str;

    /// The state after `event` of its stream; events of no interest leave it as it is.
    #[must_use]
    fn evolve(self, event: &Event) -> Self;

    /// About how many bytes it owns on the heap.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// An [`Aggregate`] that [`State`] has a line for.
pub trait Kind: Aggregate {
    /// It, if `state` is of this kind.
    fn of(state: &State) -> Option<&Self>;
}

/// Counts the shapes and meanings of [`State`]: what was kept of another version is not used.
pub const STATE_VERSION: i32 = 1;

/// Declares [`State`]; adding a kind of aggregate is one line.
macro_rules! aggregates {
    ($($(#[$doc:meta])* $kind:ident,)+) => {
        /// The state of an aggregate of any kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "aggregate", content = "state", rename_all = "lowercase")]
        pub enum State {
            $($(#[$doc])* $kind($kind),)+
        }

        $(
            impl Kind for $kind {
                fn of(state: &State) -> Option<&Self> {
                    match state {
                        State::$kind(aggregate) => Some(aggregate),
                        _ => None,
                    }
                }
            }
        )+

        /// Every category of streams there is.
        pub const CATEGORIES: &[&str] = &[$(<$kind as Aggregate>::CATEGORY,)+];

        impl State {
            /// The state of the aggregate of `stream` before anything has happened; nothing if its
            /// category is none of [`CATEGORIES`].
            #[must_use]
            pub fn initial(stream: Stream) -> Option<Self> {
                match stream.category() {
                    $(<$kind as Aggregate>::CATEGORY => Some(Self::$kind($kind::default())),)+
                    _ => None,
                }
            }

            /// The state after `event` of its stream.
            #[must_use]
            pub fn evolve(self, event: &Event) -> Self {
                match self {
                    $(Self::$kind(aggregate) => Self::$kind(aggregate.evolve(event)),)+
                }
            }

            /// About how many bytes it owns on the heap.
            #[must_use]
            pub fn heap_bytes(&self) -> usize {
                match self {
                    $(Self::$kind(aggregate) => aggregate.heap_bytes(),)+
                }
            }

            /// The aggregate as JSON, without its kind.
            ///
            /// # Errors
            /// None for the types of this crate: they hold nothing JSON cannot say.
            pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Self::$kind(aggregate) => serde_json::to_value(aggregate),)+
                }
            }
        }
    };
}

aggregates! {
    /// A product of the catalog.
    Product,
    /// The stock of one product.
    Stock,
    /// What is set aside for one order.
    Reservation,
    /// An order.
    Order,
    /// Somebody who has an account.
    User,
    /// A stay of a user.
    Session,
    /// A role.
    Role,
    /// An organization.
    Organization,
    /// What lets a program in.
    ApiKey,
}

/// The aggregates a decision is made on, by their streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aggregates(BTreeMap<Stream, State>);

impl Aggregates {
    /// With `state` as that of `stream`.
    pub fn insert(&mut self, stream: Stream, state: State) {
        self.0.insert(stream, state);
    }

    /// The aggregate of `stream`; nothing if nothing has happened to it.
    #[must_use]
    pub fn get<A: Kind>(&self, stream: Stream) -> Option<&A> {
        self.0.get(&stream).and_then(A::of)
    }

    /// Lets `event` happen to the aggregate of its stream.
    pub fn apply(&mut self, event: &Event) {
        let stream = event.stream();
        if let Some(state) = self.0.remove(&stream).or_else(|| State::initial(stream)) {
            self.0.insert(stream, state.evolve(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::ids::ProductId;
    use crate::inventory::{InventoryEvent, StockReceived, stock};
    use crate::values::Quantity;

    #[test]
    fn the_state_follows_the_events() {
        let product_id = ProductId::new(Uuid::from_u128(1));
        let mut aggregates = Aggregates::default();
        assert_eq!(aggregates.get::<Stock>(stock(product_id)), None, "nothing has happened");
        for available in [3, 6] {
            let quantity = Quantity::try_from(3).unwrap();
            let received = InventoryEvent::from(StockReceived { product_id, quantity });
            aggregates.apply(&received.into());
            let state = State::Stock(*aggregates.get(stock(product_id)).unwrap());
            assert_eq!(state.to_json().unwrap(), json!({ "available": available }));
        }
    }
}
