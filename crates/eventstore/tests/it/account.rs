//! A small aggregate for tests: an account that is never overdrawn.

use eventstore::aggregate::{Aggregate, CodecError, Command, DomainEvent, SnapshotPolicy};
use eventstore::{CommandId, EventType, Fingerprint, Metadata};
use serde::{Deserialize, Serialize};

use crate::support::id;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AccountEvent {
    Deposited { amount: i64 },
    Withdrawn { amount: i64 },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> EventType {
        let name = match self {
            Self::Deposited { .. } => "bank.deposited",
            Self::Withdrawn { .. } => "bank.withdrawn",
        };
        EventType::new(name, 1)
    }

    fn encode(&self) -> Result<String, CodecError> {
        Ok(serde_json::to_string(self)?)
    }

    fn decode(_: &EventType, payload: &str) -> Result<Self, CodecError> {
        Ok(serde_json::from_str(payload)?)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) movements: i64,
}

impl Account {
    pub(crate) fn deposit(amount: i64) -> Vec<AccountEvent> {
        vec![AccountEvent::Deposited { amount }]
    }

    pub(crate) fn withdraw(&self, amount: i64) -> Result<Vec<AccountEvent>, Overdrawn> {
        if amount > self.balance {
            return Err(Overdrawn { balance: self.balance });
        }
        Ok(vec![AccountEvent::Withdrawn { amount }])
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdrawn {
    pub(crate) balance: i64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::every(10, 3);

    fn initial() -> Self {
        Self { balance: 0, movements: 0 }
    }

    fn evolve(mut self, event: &AccountEvent) -> Self {
        self.movements += 1;
        self.balance += match event {
            AccountEvent::Deposited { amount } => *amount,
            AccountEvent::Withdrawn { amount } => -*amount,
        };
        self
    }
}

/// A command of its own.
pub(crate) fn command() -> Command {
    let metadata = Metadata {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id: id(),
        causation_id: None,
        trace: None,
    };
    Command { id: CommandId::new(id()), fingerprint: Fingerprint::of(b""), metadata }
}
