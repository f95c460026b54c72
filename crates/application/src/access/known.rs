//! What is known of access at one position of the log.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::identity::{Grant, IdentityEvent, RoleName};
use domain::ids::{ApiKeyId, SessionId, UserId};
use eventstore::Position;
use tokio::time::Instant;

use super::organizations::Organizations;
use super::{Bearer, Credential};

/// Where and when something happened.
type At = (Position, DateTime<Utc>);

/// What is known.
#[derive(Debug)]
pub(super) struct Known {
    roles: HashMap<RoleName, Arc<BTreeSet<Grant>>>,
    /// The last thing that made tokens of each session stale.
    sessions: HashMap<SessionId, At>,
    /// The same of each API key.
    keys: HashMap<ApiKeyId, At>,
    /// The same of each user.
    users: HashMap<UserId, At>,
    /// From where on all of that is known: older tokens are over.
    since: Position,
    position: Position,
    heard_at: Instant,
    pub(super) organizations: Organizations,
}

impl Known {
    pub(super) fn since(since: Position) -> Self {
        Self {
            roles: HashMap::new(),
            sessions: HashMap::new(),
            keys: HashMap::new(),
            users: HashMap::new(),
            since,
            position: Position::START,
            // Nothing has been heard yet.
            heard_at: Instant::now() - super::TRUST * 2,
            organizations: Organizations::default(),
        }
    }

    pub(super) fn learn(&mut self, event: &IdentityEvent, at: At) {
        match event {
            IdentityEvent::RoleDefined(defined) => {
                self.roles.insert(defined.role.clone(), Arc::new(defined.grants.clone()));
            }
            IdentityEvent::RoleRemoved(removed) => {
                self.roles.remove(&removed.role);
            }
            IdentityEvent::SessionEnded(ended) => {
                self.sessions.insert(ended.session_id, at);
            }
            IdentityEvent::ApiKeyRotated(event) => self.changed(event.key_id, at),
            IdentityEvent::ApiKeyRevoked(event) => self.changed(event.key_id, at),
            IdentityEvent::PasswordChanged(event) => self.stale(event.user_id, at),
            IdentityEvent::SessionsEnded(event) => self.stale(event.user_id, at),
            IdentityEvent::UserSuspended(event) => self.stale(event.user_id, at),
            IdentityEvent::UserDeactivated(event) => self.stale(event.user_id, at),
            // What is remembered of a key says that its owner is kept out.
            IdentityEvent::UserReinstated(event) => self.stale(event.user_id, at),
            IdentityEvent::RoleGranted(event) => self.stale(event.user_id, at),
            IdentityEvent::RoleWithdrawn(event) => self.stale(event.user_id, at),
            _ => {}
        }
    }

    fn stale(&mut self, user: UserId, at: At) {
        self.users.insert(user, at);
    }

    fn changed(&mut self, key: ApiKeyId, at: At) {
        self.keys.insert(key, at);
    }

    pub(super) fn holds(&self, bearer: &Bearer) -> bool {
        let is_stale =
            |at: Option<&At>| at.is_some_and(|(position, _)| *position > bearer.position);
        let by = match bearer.by {
            Credential::Session(session) => self.sessions.get(&session),
            Credential::ApiKey(key) => self.keys.get(&key),
        };
        bearer.position >= self.since && !is_stale(by) && !is_stale(self.users.get(&bearer.user))
    }

    /// Drops what happened before `over`: what it made stale is over by itself.
    pub(super) fn forget(&mut self, over: DateTime<Utc>) {
        self.sessions.retain(|_, (_, when)| *when >= over);
        self.keys.retain(|_, (_, when)| *when >= over);
        self.users.retain(|_, (_, when)| *when >= over);
    }

    pub(super) fn grants(&self, name: &RoleName) -> Option<Arc<BTreeSet<Grant>>> {
        self.roles.get(name).cloned()
    }

    pub(super) fn roles(&self) -> Vec<RoleName> {
        let mut names: Vec<_> = self.roles.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(super) const fn position(&self) -> Position {
        self.position
    }

    pub(super) fn reached(&mut self, position: Position) {
        self.position = position;
    }

    pub(super) const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    pub(super) fn heard(&mut self, at: Instant) {
        self.heard_at = at;
    }
}
