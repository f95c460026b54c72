//! Who may do what, known without asking: what a process follows the log for.
//!
//! An access token says who asks; what has happened since it was issued is not in it. [`Access`] knows:
//! which roles there are, and which sessions, API keys and users something happened to that makes
//! their tokens stale, and what is remembered of them, for as long as such tokens can be valid. It asks the log five times a second, and answers from
//! memory; when it has not heard from the log for [`TRUST`], or a token was issued when the log was
//! further than it knows, it asks before it answers: whoever was granted something and got a token with
//! it is not told that there is no such role.
//!
//! Who belongs to which organization is in no token: it is read when an organization is first asked for,
//! and kept up to date in the same way.

mod known;
mod organizations;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::TimeDelta;
use domain::Event;
use domain::identity::{Grant, IdentityEvent, RoleName};
use domain::ids::{ApiKeyId, SessionId, UserId};
use domain::organizations::OrganizationEvent;
use eventstore::answer::within;
use eventstore::{EventStore, Moment, Position, Query, QueryItem, Tag};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::Clock;
use crate::{Undecodable, decode};
use known::Known;

/// How long what is known is relied on without hearing from the log.
pub const TRUST: Duration = Duration::from_secs(1);

/// How often the log is asked.
const PERIOD: Duration = Duration::from_millis(200);

/// By how much longer than tokens live what made them stale is remembered.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// By what everything can be found that says what roles grant.
const ROLES: &str = "identity.roles";

/// By what everything can be found that makes tokens stale.
const STALE: &str = "identity.stale";

/// By what everything can be found that says who belongs to organizations.
const MEMBERS: &str = "organizations.members";

/// What is known of access. Clones share it.
#[derive(Debug, Clone)]
pub struct Access {
    store: EventStore,
    known: Arc<RwLock<Known>>,
    /// One question at a time.
    asking: Arc<Mutex<()>>,
}

/// Who asks, by what was known when the log was at a position.
#[derive(Debug, Clone, Copy)]
pub struct Bearer {
    /// The user.
    pub user: UserId,
    /// By what.
    pub by: Credential,
    /// How far the log had come when the token was issued, or the key was read.
    pub position: Position,
}

/// By what somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a session.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
}

/// Why the log could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The database cannot be reached.
    #[error("ask the log who may come in")]
    Database(#[from] sqlx::Error),
    /// An event cannot be read.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
}

impl Access {
    /// Reads which roles there are, and what made tokens stale that were issued in the last
    /// `token_lifetime`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn load(
        store: EventStore,
        clock: &dyn Clock,
        token_lifetime: TimeDelta,
    ) -> Result<Self, AccessError> {
        let since = clock.now() - token_lifetime - MARGIN;
        let since = store.position_at(Moment::Time(since)).await?;
        let known = Arc::new(RwLock::new(Known::since(since)));
        let access = Self { store, known, asking: Arc::default() };
        let roles = Query::nothing().or(QueryItem::tagged([tag_of(ROLES)]));
        access.read(&roles, Position::START).await?;
        access.write(|known| known.reached(since));
        access.ask(Instant::now()).await?;
        Ok(access)
    }

    /// Asks the log again and again, until `stop`.
    pub async fn follow(
        self,
        clock: Arc<dyn Clock>,
        token_lifetime: TimeDelta,
        stop: CancellationToken,
    ) {
        let mut is_lost = false;
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let asked = self.ask(Instant::now()).await;
            match asked {
                Ok(()) if is_lost => tracing::info!("who may come in is known again"),
                Err(ref error) if !is_lost => {
                    tracing::warn!(error = %error, "who may come in is not known");
                }
                Ok(()) | Err(_) => {}
            }
            is_lost = asked.is_err();
            let over = clock.now() - token_lifetime - MARGIN;
            self.write(|known| known.forget(over));
        }
    }

    /// Whether the token of `bearer`, or what is remembered of the key, still counts: nothing made it stale, as far as was known at most
    /// [`TRUST`] ago, and when it was issued.
    ///
    /// # Errors
    /// The log has not been heard of, and cannot be asked.
    pub async fn holds(&self, bearer: &Bearer) -> Result<bool, AccessError> {
        let now = Instant::now();
        let (heard_at, position) = self.read_known(|known| (known.heard_at(), known.position()));
        if heard_at + TRUST < now || position < bearer.position {
            self.ask(now).await?;
        }
        Ok(self.read_known(|known| known.holds(bearer)))
    }

    /// What the role `name` grants; nothing if there is none.
    #[must_use]
    pub fn grants(&self, name: &RoleName) -> Option<Arc<BTreeSet<Grant>>> {
        self.read_known(|known| known.grants(name))
    }

    /// The names of all roles.
    #[must_use]
    pub fn roles(&self) -> Vec<RoleName> {
        self.read_known(Known::roles)
    }

    /// How far the log is known.
    #[must_use]
    pub fn position(&self) -> Position {
        self.read_known(Known::position)
    }

    /// Learns what has happened by `now`.
    async fn ask(&self, now: Instant) -> Result<(), AccessError> {
        let _one = self.asking.lock().await;
        if self.read_known(Known::heard_at) >= now {
            // Somebody else has asked meanwhile.
            return Ok(());
        }
        let asked = Instant::now();
        let tags = [ROLES, STALE, MEMBERS].map(|tag| QueryItem::tagged([tag_of(tag)]));
        let query = tags.into_iter().fold(Query::nothing(), Query::or);
        self.read(&query, self.position()).await?;
        self.write(|known| known.heard(asked));
        Ok(())
    }

    async fn read(&self, query: &Query, after: Position) -> Result<(), AccessError> {
        let mut after = after;
        loop {
            // Large, and asked for now and then only.
            let page = within(Box::pin(self.store.read_matching(query, after))).await?;
            for recorded in &page.events {
                for event in decode(recorded)? {
                    match &event {
                        Event::Identity(event) => {
                            let at = (recorded.position, recorded.recorded_at);
                            self.write(|known| known.learn(event, at));
                        }
                        Event::Organizations(_) => {
                            let stream = (&recorded.stream, recorded.version);
                            self.write(|known| known.organizations.learn(stream, &event));
                        }
                        Event::Catalog(_) | Event::Inventory(_) | Event::Ordering(_) => {}
                    }
                }
            }
            after = page.reached;
            self.write(|known| known.reached(after));
            if page.events.is_empty() {
                return Ok(());
            }
        }
    }

    fn read_known<R>(&self, read: impl FnOnce(&Known) -> R) -> R {
        read(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, write: impl FnOnce(&mut Known)) {
        write(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// By what `event` is found.
pub(crate) fn tag(event: &IdentityEvent) -> Option<Tag> {
    let tag = match event {
        IdentityEvent::RoleDefined(_) | IdentityEvent::RoleRemoved(_) => ROLES,
        IdentityEvent::PasswordChanged(_)
        | IdentityEvent::SessionsEnded(_)
        | IdentityEvent::SessionEnded(_)
        | IdentityEvent::UserSuspended(_)
        | IdentityEvent::UserDeactivated(_)
        | IdentityEvent::UserReinstated(_)
        | IdentityEvent::RoleGranted(_)
        | IdentityEvent::RoleWithdrawn(_)
        | IdentityEvent::ApiKeyRotated(_)
        | IdentityEvent::ApiKeyRevoked(_) => STALE,
        IdentityEvent::UserRegistered(_)
        | IdentityEvent::RegistrationRepeated(_)
        | IdentityEvent::VerificationRequested(_)
        | IdentityEvent::EmailVerified(_)
        | IdentityEvent::EmailChangeRequested(_)
        | IdentityEvent::EmailChanged(_)
        | IdentityEvent::ProfileChanged(_)
        | IdentityEvent::PasswordResetRequested(_)
        | IdentityEvent::SessionStarted(_)
        | IdentityEvent::SessionKept(_)
        | IdentityEvent::ApiKeyCreated(_)
        // Sessions go on.
        | IdentityEvent::SecondFactorEnabled(_)
        | IdentityEvent::SecondFactorDisabled(_)
        | IdentityEvent::RecoveryCodeUsed(_)
        | IdentityEvent::RecoveryCodesReplaced(_)
        | IdentityEvent::ExternalIdentityLinked(_)
        | IdentityEvent::ExternalIdentityUnlinked(_) => return None,
    };
    Some(tag_of(tag))
}

/// By what `event` is found.
pub(crate) fn tag_of_organization(event: &OrganizationEvent) -> Option<Tag> {
    match event {
        OrganizationEvent::OrganizationClosed(_)
        | OrganizationEvent::OwnershipTransferred(_)
        | OrganizationEvent::MemberJoined(_)
        | OrganizationEvent::MemberRoleChanged(_)
        | OrganizationEvent::MemberLeft(_)
        | OrganizationEvent::MemberRemoved(_) => Some(tag_of(MEMBERS)),
        OrganizationEvent::OrganizationCreated(_)
        | OrganizationEvent::OrganizationRenamed(_)
        | OrganizationEvent::MemberInvited(_)
        | OrganizationEvent::InvitationWithdrawn(_)
        | OrganizationEvent::InvitationDeclined(_) => None,
    }
}

#[expect(clippy::expect_used, reason = "the tags of this module are tags")]
fn tag_of(tag: &str) -> Tag {
    Tag::new(tag).expect("a tag")
}
