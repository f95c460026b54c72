//! Counts the statements that a test sends to the database.
//!
//! A test runs on a thread of its own, and so do all tasks it starts, so what is traced on that
//! thread is its own.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// The statements since [`count`].
pub(crate) struct Statements {
    sent: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

/// Counts from now on, on this thread.
pub(crate) fn count() -> Statements {
    let sent = Arc::default();
    let guard = tracing::subscriber::set_default(Listener { sent: Arc::clone(&sent) });
    Statements { sent, _guard: guard }
}

impl Statements {
    /// Those that were answered until now.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

/// What sqlx tells of each statement.
struct Listener {
    sent: Arc<Mutex<Vec<String>>>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{value:?} ");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.sent.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
