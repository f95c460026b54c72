//! The aggregate that commands are given to.

use eventstore::EventType;
use eventstore::aggregate::{Aggregate, CodecError, DomainEvent};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountEvent {
    amount: i64,
    note: String,
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> EventType {
        EventType::new("bank.deposited", 1)
    }

    fn encode(&self) -> Result<String, CodecError> {
        Ok(serde_json::to_string(self)?)
    }

    fn decode(_: &EventType, payload: &str) -> Result<Self, CodecError> {
        Ok(serde_json::from_str(payload)?)
    }

    fn subject(&self) -> Option<String> {
        Some("bank.deposited.v1".to_owned())
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    balance: i64,
}

impl Account {
    pub(crate) fn deposit(&self) -> AccountEvent {
        // About 300 bytes, like every other event here.
        AccountEvent { amount: 1 + self.balance % 7, note: "x".repeat(270) }
    }

    pub(crate) fn after(mut self, event: &AccountEvent) -> Self {
        self.balance += event.amount;
        self
    }
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn initial() -> Self {
        Self::default()
    }

    fn evolve(self, event: &AccountEvent) -> Self {
        self.after(event)
    }
}
