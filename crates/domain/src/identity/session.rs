//! The session aggregate: whether somebody is still logged in.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Account, Client, IdentityEvent, Rejection, SessionEnded, SessionKept, SessionStarted,
    SessionsEnded, Standing, User,
};
use crate::ids::{SessionId, UserId};
use crate::values::Personal;
use crate::{Aggregate, Aggregates, Decider, Event, Stream};

/// A session, once it has started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(Option<Stay>);

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    /// Whose it is.
    pub user_id: UserId,
    /// The user's generation of sessions that it is of.
    pub generation: u32,
    /// From where it was started.
    pub client: Personal<Client>,
    /// When.
    pub started_at: DateTime<Utc>,
    /// When it is over, whatever happens.
    pub expires_at: DateTime<Utc>,
    /// Why it is over, if it was ended by itself.
    pub ended: Option<EndReason>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The user has logged out.
    LoggedOut,
    /// The user has ended it from another session.
    EndedByUser,
    /// An operator has ended it.
    EndedByOperator,
    /// A refresh token was used that had been replaced: somebody else has it.
    TokenReused,
    /// It was not used for too long, or was too old.
    Expired,
}

/// Log in.
#[derive(Debug, Clone)]
pub struct StartSession {
    /// The id the session shall have.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// From where.
    pub client: Client,
    /// Whether the second factor was proved as well, if the user has one.
    pub proves_second_factor: bool,
    /// Now.
    pub started_at: DateTime<Utc>,
    /// When it is over, whatever happens.
    pub expires_at: DateTime<Utc>,
}

/// End a session.
#[derive(Debug, Clone, Copy)]
pub struct EndSession {
    /// The session.
    pub session_id: SessionId,
    /// Whose it must be.
    pub user_id: UserId,
    /// Why.
    pub reason: EndReason,
}

/// End all sessions of a user.
#[derive(Debug, Clone, Copy)]
pub struct EndSessions {
    /// The user.
    pub user_id: UserId,
    /// The one that goes on.
    pub keep: Option<SessionId>,
}

impl Session {
    /// Whose it is, if it has started.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.0.as_ref().map(|stay| stay.user_id)
    }

    /// Whether it goes on at `now`, of the user who has `account`.
    #[must_use]
    pub fn goes_on(&self, account: &Account, now: DateTime<Utc>) -> bool {
        self.0.as_ref().is_some_and(|stay| {
            stay.ended.is_none()
                && stay.generation == account.generation
                && account.standing == Standing::Active
                && now < stay.expires_at
        })
    }

    /// What is known of it, if it has started.
    #[must_use]
    pub const fn stay(&self) -> Option<&Stay> {
        self.0.as_ref()
    }

    fn is_of(&self, user_id: UserId, account: &Account) -> bool {
        self.0.as_ref().is_some_and(|stay| {
            stay.user_id == user_id && stay.ended.is_none() && stay.generation == account.generation
        })
    }
}

impl Aggregate for Session {
    const CATEGORY: &'static str = super::SESSION;

    fn evolve(self, event: &Event) -> Self {
        let Event::Identity(event) = event else { return self };
        let stay = match event {
            IdentityEvent::SessionStarted(started) => Some(Stay {
                user_id: started.user_id,
                generation: started.generation,
                client: started.client.clone(),
                started_at: started.started_at,
                expires_at: started.expires_at,
                ended: None,
            }),
            IdentityEvent::SessionKept(SessionKept { generation, .. }) => {
                self.0.map(|stay| Stay { generation: *generation, ..stay })
            }
            IdentityEvent::SessionEnded(SessionEnded { reason, .. }) => {
                self.0.map(|stay| Stay { ended: Some(*reason), ..stay })
            }
            _ => self.0,
        };
        Self(stay)
    }

    fn heap_bytes(&self) -> usize {
        let client = self.0.as_ref().and_then(|stay| stay.client.value());
        let agent = |client: &Client| client.agent.as_ref().map_or(0, String::len);
        client.map_or(0, |client| client.address.len() + agent(client))
    }
}

impl Decider for StartSession {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id), super::session(self.session_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { session_id, user_id, client, proves_second_factor, started_at, expires_at } =
            self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if !account.is_verified {
            return Err(Rejection::NotVerified(user_id));
        }
        if account.second_factor.is_some() && !proves_second_factor {
            return Err(Rejection::SecondFactorRequired(user_id));
        }
        let session: Option<&Session> = aggregates.get(super::session(session_id));
        if session.is_some_and(|session| session.0.is_some()) {
            return Err(Rejection::AlreadyStarted(session_id));
        }
        let (generation, client) = (account.generation, Personal::new(user_id, client));
        let event =
            SessionStarted { session_id, user_id, generation, client, started_at, expires_at };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}

impl Decider for EndSession {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::session(self.session_id)]
    }

    /// Nothing follows if it is over already.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { session_id, user_id, reason } = *self;
        let session: Option<&Session> = aggregates.get(super::session(session_id));
        let stay = session.and_then(|session| session.0.as_ref());
        let stay = stay.filter(|stay| stay.user_id == user_id);
        match stay.ok_or(Rejection::NoSession(session_id))?.ended {
            None => {
                let event = SessionEnded { session_id, user_id, reason };
                Ok(vec![IdentityEvent::from(event).into()])
            }
            Some(_) => Ok(Vec::new()),
        }
    }
}

impl Decider for EndSessions {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        let kept = self.keep.map(super::session);
        [super::user(self.user_id)].into_iter().chain(kept).collect()
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, keep: kept } = *self;
        let account = User::find(aggregates, user_id)?;
        let generation = account.generation + 1;
        let mut events = vec![IdentityEvent::from(SessionsEnded { user_id, generation }).into()];
        events.extend(keep(aggregates, (user_id, account), kept, generation)?);
        Ok(events)
    }
}

/// Lets the session `kept` of a user go on into another `generation`.
pub(super) fn keep(
    aggregates: &Aggregates,
    (user_id, account): (UserId, &Account),
    kept: Option<SessionId>,
    generation: u32,
) -> Result<Option<Event>, Rejection> {
    let Some(session_id) = kept else { return Ok(None) };
    let session: Option<&Session> = aggregates.get(super::session(session_id));
    if !session.is_some_and(|session| session.is_of(user_id, account)) {
        return Err(Rejection::NoSession(session_id));
    }
    let event = SessionKept { session_id, user_id, generation };
    Ok(Some(IdentityEvent::from(event).into()))
}
