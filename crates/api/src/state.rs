//! What handlers are made of.

use std::sync::Arc;

use application::CommandBus;
use application::access::Access;
use application::identity::Identity;
use application::organizations::Organizations;
use application::ports::IdSource;
use axum::extract::FromRef;
use eventstore::EventStore;

use crate::cursor::Cursors;
use crate::feed::Feed;
use crate::queries::Queries;

/// The parts handlers take; clones share them.
#[derive(Clone)]
pub struct ApiState {
    /// Where commands go.
    pub bus: CommandBus,
    /// Accounts and sessions.
    pub identity: Identity,
    /// Who may do what.
    pub access: Access,
    /// Where read models are queried.
    pub queries: Queries,
    /// For pages of lists.
    pub cursors: Cursors,
    /// Where what happens is told.
    pub feed: Feed,
    /// For request ids.
    pub ids: Arc<dyn IdSource>,
}

impl FromRef<ApiState> for CommandBus {
    fn from_ref(state: &ApiState) -> Self {
        state.bus.clone()
    }
}

impl FromRef<ApiState> for Identity {
    fn from_ref(state: &ApiState) -> Self {
        state.identity.clone()
    }
}

impl FromRef<ApiState> for Organizations {
    fn from_ref(state: &ApiState) -> Self {
        Self::new(state.identity.clone())
    }
}

impl FromRef<ApiState> for Access {
    fn from_ref(state: &ApiState) -> Self {
        state.access.clone()
    }
}

impl FromRef<ApiState> for Cursors {
    fn from_ref(state: &ApiState) -> Self {
        state.cursors.clone()
    }
}

impl FromRef<ApiState> for Queries {
    fn from_ref(state: &ApiState) -> Self {
        state.queries.clone()
    }
}

impl FromRef<ApiState> for Feed {
    fn from_ref(state: &ApiState) -> Self {
        state.feed.clone()
    }
}

impl FromRef<ApiState> for EventStore {
    /// For reading: its connections are those of queries.
    fn from_ref(state: &ApiState) -> Self {
        state.queries.source.store.clone()
    }
}
