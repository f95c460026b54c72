//! One message as it was delivered.

use async_nats::Message;
use async_nats::subject::Subject;
use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::config::SLOTS;
use crate::{IncomingMessage, MalformedMessage, Namespace};

/// Under which the ids of messages are made that cannot be read.
const UNREADABLE: Uuid = Uuid::from_u128(0x0193_5a7e_40c2_7d31_9b6a_756e_7265_6164);

/// The key of all messages that cannot be read.
pub(crate) const UNREADABLE_KEY: &str = "unreadable";

/// One message as it was delivered.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What was sent; kept when the message must be held.
    pub(crate) raw: Message,
    /// What it says.
    pub(crate) message: Result<IncomingMessage, MalformedMessage>,
    /// The same for the same message.
    pub(crate) id: Uuid,
    /// The key its order matters within.
    pub(crate) key: String,
    /// The day of the message, for its mark.
    pub(crate) day: NaiveDate,
    /// Where the broker is told what became of it; nowhere if it was read and not delivered.
    pub(crate) reply: Option<Reply>,
    /// What is known of it from processes that ended.
    pub(crate) suspicion: Suspicion,
    /// Kept until it is settled, if somebody waits for that.
    #[expect(dead_code, reason = "whoever waits is told by its drop")]
    pub(crate) unsettled: Option<Unsettled>,
}

/// Whoever waits for a delivery to be settled waits until this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    _until: mpsc::Sender<()>,
}

impl Unsettled {
    /// One to be cloned, and the end that learns when all clones are dropped.
    pub(crate) fn new() -> (Self, mpsc::Receiver<()>) {
        let (until, settled) = mpsc::channel(1);
        (Self { _until: until }, settled)
    }
}

/// What is known of a message from processes that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    None,
    /// It was in hand when processes ended: it is tried alone, and that is counted.
    Alone,
    /// The last of so many processes ended while it was tried alone.
    Hopeless(i32),
}

/// Where the broker is told what became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) subject: Subject,
    /// Counts deliveries to the consumer.
    pub(crate) number: u64,
}

/// Where a message is from that cannot say so itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The stream, and when it was made.
    pub(crate) stream: &'a str,
    /// Its number there.
    pub(crate) sequence: u64,
    /// When it came into the stream.
    pub(crate) published: DateTime<Utc>,
}

impl Delivery {
    /// Reads `raw`.
    pub(crate) fn read(
        namespace: &Namespace,
        raw: Message,
        origin: Origin<'_>,
        reply: Option<Reply>,
        key_of: impl Fn(&IncomingMessage) -> String,
    ) -> Self {
        let message = IncomingMessage::parse(namespace, &raw);
        let (id, key, day) = if let Ok(message) = &message {
            (message.id, key_of(message), message.time.date_naive())
        } else {
            let name = format!("{}\n{}", origin.stream, origin.sequence);
            let id = Uuid::new_v5(&UNREADABLE, name.as_bytes());
            (id, UNREADABLE_KEY.to_owned(), origin.published.date_naive())
        };
        Self { raw, message, id, key, day, reply, suspicion: Suspicion::None, unsettled: None }
    }

    /// The slot its key falls into.
    pub(crate) fn slot(&self) -> u16 {
        slot(&self.key)
    }
}

/// The slot of a key: FNV-1a, because it must never change.
fn slot(key: &str) -> u16 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u16::try_from((hash >> 32) % u64::from(SLOTS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn the_slot_of_a_key_is_for_ever() {
        assert_eq!(["", "a", "ordering.order-1"].map(slot), [36, 12, 10]);
    }
}
