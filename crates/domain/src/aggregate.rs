//! What a stream's events make of its aggregate, for whoever looks and does not decide.
//!
//! The state is that of the aggregate's own decider, folded by its own `evolve`: what is shown is
//! what the next decision would be made on. As JSON it is for people and their tools; nothing
//! stores it, so its shape may change with the decider.

use serde::Serialize;
use serde_json::Value;

use crate::catalog::{PRODUCT, Product};
use crate::inventory::{RESERVATION, Reservation, STOCK, Stock};
use crate::ordering::{ORDER, Settlement};
use crate::{Decider, Event, Stream};

/// The kind of aggregate of each category of streams.
///
/// One more category is one more line, with the decider that knows most of it.
pub const AGGREGATES: &[Aggregate] = &[
    Aggregate::of::<Product>(PRODUCT),
    Aggregate::of::<Stock>(STOCK),
    Aggregate::of::<Reservation>(RESERVATION),
    Aggregate::of::<Settlement>(ORDER),
];

/// A kind of aggregate.
#[derive(Debug, Clone, Copy)]
pub struct Aggregate {
    /// The category of its streams.
    pub category: &'static str,
    begin: fn() -> Box<dyn Fold>,
}

/// The state of one aggregate, event by event.
pub trait Fold: Send {
    /// Takes the next event of its stream.
    fn apply(&mut self, event: &Event);

    /// The state after the events so far; null if there was none.
    ///
    /// # Errors
    /// None for the types of this crate: they hold nothing JSON cannot say.
    fn state(&self) -> Result<Value, serde_json::Error>;
}

impl Aggregate {
    const fn of<D>(category: &'static str) -> Self
    where
        D: Decider + 'static,
        D::State: Clone + Serialize + Send,
    {
        Self { category, begin: || Box::new(Folded::<D>(None)) }
    }

    /// The aggregate of `stream` before anything has happened.
    #[must_use]
    pub fn begin(stream: Stream) -> Option<Box<dyn Fold>> {
        let known = AGGREGATES.iter().find(|known| known.category == stream.category())?;
        Some((known.begin)())
    }
}

struct Folded<D: Decider>(Option<D::State>);

impl<D> Fold for Folded<D>
where
    D: Decider,
    D::State: Clone + Serialize + Send,
{
    fn apply(&mut self, event: &Event) {
        let state = self.0.take().unwrap_or_else(D::initial);
        self.0 = Some(D::evolve(state, event));
    }

    fn state(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::event::CATEGORIES;
    use crate::ids::ProductId;
    use crate::inventory::{InventoryEvent, StockReceived, stock};
    use crate::values::Quantity;

    #[test]
    fn every_category_has_its_aggregate() {
        let shown: Vec<_> = AGGREGATES.iter().map(|aggregate| aggregate.category).collect();
        assert_eq!(shown, CATEGORIES, "a line for each in `AGGREGATES`");
    }

    #[test]
    fn the_state_follows_the_events() {
        let product_id = ProductId::new(Uuid::from_u128(1));
        let mut fold = Aggregate::begin(stock(product_id)).unwrap();
        assert_eq!(fold.state().unwrap(), Value::Null, "before anything has happened");
        for available in [3, 6] {
            let quantity = Quantity::try_from(3).unwrap();
            let received = InventoryEvent::from(StockReceived { product_id, quantity });
            fold.apply(&received.into());
            assert_eq!(fold.state().unwrap(), json!({ "available": available }));
        }
    }
}
