//! How events of old shapes are read as events of today's.
//!
//! What is recorded is never rewritten. Each shape that code no longer knows has an upcaster to
//! the shape that followed it: to one, to several, or to none. An event is taken along this chain
//! when it is decoded, until every part of it is of a shape that today's code knows. Readers of
//! the log itself see what was recorded.
//!
//! A stored shape without a path to today is found before the first event is read:
//! [`Evolution::check_log`] compares with what the log holds, at boot.
//!
//! ```
//! use eventstore::EventType;
//! use eventstore::evolution::Evolution;
//! use serde_json::json;
//!
//! let evolution = Evolution::to([EventType::new("shop.order-placed", 2)])
//!     // The currency used to go without saying.
//!     .upcast(EventType::new("shop.order-placed", 1), 2, |mut payload| {
//!         payload["currency"] = json!("EUR");
//!         Ok(payload)
//!     })
//!     .drop(EventType::new("shop.button-clicked", 1));
//! evolution.check()?;
//! # Ok::<_, eventstore::evolution::Unreadable>(())
//! ```

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::answer::within;
use crate::{EventStore, EventType, Position, RecordedEvent};

/// Why an upcaster could not read a payload.
pub type UpcastError = Box<dyn Error + Send + Sync>;

type Change = Box<dyn Fn(Value) -> Result<Vec<(EventType, Value)>, UpcastError> + Send + Sync>;

/// The shapes that today's code knows, and the ways that lead to them.
#[derive(Default)]
pub struct Evolution {
    current: HashSet<EventType>,
    steps: HashMap<EventType, Step>,
}

struct Step {
    to: Vec<EventType>,
    change: Change,
}

/// Shapes from which no way leads to one that today's code knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no way leads to today's types from: {}", listed(.types))]
pub struct Unreadable {
    /// The shapes.
    pub types: Vec<EventType>,
}

/// Why the log could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The log holds events that today's code cannot read.
    #[error("the log holds what this version cannot read")]
    Unreadable(#[from] Unreadable),
    /// The database cannot be reached.
    #[error("read the types of the log")]
    Database(#[from] sqlx::Error),
}

/// An event that an upcaster could not read.
#[derive(Debug, thiserror::Error)]
#[error("read the event at position {position} as a later version of {event_type}")]
pub struct Misshapen {
    /// Its place in the log.
    pub position: Position,
    /// What it was recorded as, or had become.
    pub event_type: EventType,
    /// What is wrong with it.
    #[source]
    pub source: UpcastError,
}

impl Evolution {
    /// Knows the shapes `current`, and no others yet.
    #[must_use]
    pub fn to(current: impl IntoIterator<Item = EventType>) -> Self {
        Self { current: current.into_iter().collect(), steps: HashMap::new() }
    }

    /// Reads payloads of `from` as the version `to` of the same name.
    #[must_use]
    pub fn upcast(
        self,
        from: EventType,
        to: i16,
        change: impl Fn(Value) -> Result<Value, UpcastError> + Send + Sync + 'static,
    ) -> Self {
        let to = EventType { schema_version: to, ..from.clone() };
        let target = to.clone();
        let change = move |payload| Ok(vec![(target.clone(), change(payload)?)]);
        self.split(from, [to], change)
    }

    /// Reads events of `from` as any number of events, each of one of the shapes `to`.
    #[must_use]
    pub fn split(
        mut self,
        from: EventType,
        to: impl IntoIterator<Item = EventType>,
        change: impl Fn(Value) -> Result<Vec<(EventType, Value)>, UpcastError> + Send + Sync + 'static,
    ) -> Self {
        let step = Step { to: to.into_iter().collect(), change: Box::new(change) };
        self.steps.insert(from, step);
        self
    }

    /// Passes over events of `from`: they no longer mean anything.
    #[must_use]
    pub fn drop(self, from: EventType) -> Self {
        self.split(from, [], |_| Ok(Vec::new()))
    }

    /// Checks that every upcaster leads to a shape of today.
    ///
    /// # Errors
    /// [`Unreadable`]: the shapes whose upcasters lead nowhere or in a circle.
    pub fn check(&self) -> Result<(), Unreadable> {
        self.check_types(self.steps.keys().cloned())
    }

    /// Checks that each of `stored` can be read. For tests: give it every shape that was ever
    /// written, for example the names of the golden files.
    ///
    /// # Errors
    /// [`Unreadable`]: those that cannot.
    pub fn check_types(
        &self,
        stored: impl IntoIterator<Item = EventType>,
    ) -> Result<(), Unreadable> {
        let unreadable = |known: &EventType| !self.leads_to_today(known, &mut Vec::new());
        let mut types: Vec<_> = stored.into_iter().filter(unreadable).collect();
        types.sort_unstable();
        if types.is_empty() { Ok(()) } else { Err(Unreadable { types }) }
    }

    /// Checks that everything in the log of `store` can be read.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn check_log(&self, store: &EventStore) -> Result<(), CheckError> {
        // The store's own events are nobody's business but its own.
        let stored = store.types().await?.into_iter();
        Ok(self.check_types(stored.filter(|known| !known.name.starts_with("eventstore.")))?)
    }

    fn leads_to_today(&self, from: &EventType, passed: &mut Vec<EventType>) -> bool {
        if self.current.contains(from) {
            return true;
        }
        let Some(step) = self.steps.get(from) else { return false };
        if passed.contains(from) {
            return false;
        }
        passed.push(from.clone());
        let leads = step.to.iter().all(|to| self.leads_to_today(to, passed));
        passed.pop();
        leads
    }

    /// `event` in shapes of today: itself, what it was taken to be since, or nothing.
    ///
    /// A shape that is neither known nor has an upcaster is given as it is; decoding it fails.
    ///
    /// # Errors
    /// [`Misshapen`]: the payload is not what its type says.
    pub fn read<'a>(
        &self,
        event: &'a RecordedEvent,
    ) -> Result<Vec<(EventType, Cow<'a, str>)>, Misshapen> {
        if !self.steps.contains_key(&event.event_type) {
            return Ok(vec![(event.event_type.clone(), Cow::Borrowed(event.payload.as_str()))]);
        }
        let misshapen = |event_type: &EventType, source| Misshapen {
            position: event.position,
            event_type: event_type.clone(),
            source,
        };
        let payload: Value = serde_json::from_str(&event.payload)
            .map_err(|error| misshapen(&event.event_type, error.into()))?;
        let mut left = vec![(event.event_type.clone(), payload)];
        let mut read = Vec::new();
        while let Some((event_type, payload)) = left.pop() {
            match self.steps.get(&event_type).filter(|_| !self.current.contains(&event_type)) {
                None => read.push((event_type, Cow::Owned(payload.to_string()))),
                Some(step) => {
                    let changed = (step.change)(payload);
                    let changed = changed.map_err(|error| misshapen(&event_type, error))?;
                    // The last in is the next out: what it became keeps its order.
                    left.extend(changed.into_iter().rev());
                }
            }
        }
        Ok(read)
    }
}

impl fmt::Debug for Evolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|(from, step)| (from, &step.to)).collect();
        f.debug_struct("Evolution").field("current", &self.current).field("steps", &steps).finish()
    }
}

impl EventStore {
    /// Every shape that the log holds events of.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn types(&self) -> Result<Vec<EventType>, sqlx::Error> {
        let types = sqlx::query!("SELECT name, schema_version FROM eventstore.types ORDER BY 1, 2");
        let types = within(types.fetch_all(self.pool())).await?;
        Ok(types.into_iter().map(|row| EventType::new(row.name, row.schema_version)).collect())
    }
}

fn listed(types: &[EventType]) -> String {
    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
