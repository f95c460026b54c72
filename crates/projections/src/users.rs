//! The read model of users: how their accounts stand, and since when; nothing that is personal.
//!
//! What people are called and their addresses are not here: whoever shows a page of users has them
//! opened for that page.

mod document;
mod queries;

use std::borrow::Cow;

use eventstore::RecordedEvent;

pub use queries::{Listing, Page, User, get, list};

use crate::Projection;
use crate::projection::id_of_stream;

const SESSION_STARTED: &str = "identity.session-started";

/// Users as operators see them.
pub const USERS: Projection = Projection {
    name: "users",
    version: 1,
    schema: include_str!("users/v1.sql"),
    reads: &[
        "identity.user-registered",
        "identity.email-verified",
        "identity.email-changed",
        "identity.user-suspended",
        "identity.user-reinstated",
        "identity.user-deactivated",
        "identity.role-granted",
        "identity.role-withdrawn",
        SESSION_STARTED,
    ],
    key: user_of,
    apply: |connection, entries| Box::pin(crate::document::apply::<User>(connection, entries)),
    // Which sessions were a user's no stream of the user says.
    as_of: None,
};

/// The id of the user: the stream of a session is not the user's, but a user starts his own.
fn user_of(event: &RecordedEvent) -> Cow<'_, str> {
    let starter = event.metadata.actor.strip_prefix("user:");
    match starter.filter(|_| *event.event_type.name == *SESSION_STARTED) {
        Some(user) => Cow::Borrowed(user),
        None => id_of_stream(event),
    }
}
