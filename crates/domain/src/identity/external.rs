//! Identities elsewhere by which a user comes in.
//!
//! One of them is of one user: it is claimed. Which user it may be linked to is decided here; that
//! whoever asks is who the provider knows was proved before.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    EmailVerified, ExternalIdentityLinked, ExternalIdentityUnlinked, IdentityEvent, ProfileChanged,
    RegisterUser, Rejection, SessionsEnded, User,
};
use crate::ids::UserId;
use crate::values::{Email, ExternalIdentity, PersonName, Personal};
use crate::{Aggregates, Decider, Event, Stream};

/// The most of them that a user has.
pub const MOST_EXTERNAL_IDENTITIES: usize = 10;

/// Why an identity was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkedBy {
    /// The account was opened with it, and has no password.
    Registration,
    /// The provider vouches for the address, which the user had proved.
    Address,
    /// The provider vouches for the address, which nobody had proved: whoever opened the account
    /// may be somebody else, so nothing that was set until then lets in any more.
    TakeOver,
    /// The user has asked for it.
    Owner,
}

/// An identity elsewhere by which a user comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedIdentity {
    /// What it is called here.
    pub id: Uuid,
    /// Which it is.
    pub identity: Personal<ExternalIdentity>,
    /// Since when.
    pub linked_at: DateTime<Utc>,
}

/// What is linked.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// What it shall be called here.
    pub id: Uuid,
    /// Which identity it is.
    pub identity: ExternalIdentity,
    /// Now.
    pub at: DateTime<Utc>,
}

/// Open an account by an identity whose provider vouches for the address.
#[derive(Debug, Clone)]
pub struct RegisterByExternalIdentity {
    /// The id the user shall have.
    pub user_id: UserId,
    /// The address.
    pub email: Email,
    /// What people shall call the user.
    pub name: PersonName,
    /// By what the user comes in.
    pub link: NewLink,
}

/// Let who has the address come in by an identity whose provider vouches for that address.
#[derive(Debug, Clone)]
pub struct LinkByAddress {
    /// Who has the address.
    pub user_id: UserId,
    /// The address.
    pub email: Email,
    /// What the provider calls the user.
    pub name: Option<PersonName>,
    /// Whether nobody had proved the address when secrets were looked after: if this is not so any
    /// more it is to be decided anew.
    pub takes_over: bool,
    /// By what the user comes in.
    pub link: NewLink,
}

/// Come in by another identity as well.
#[derive(Debug, Clone)]
pub struct LinkExternalIdentity {
    /// The user, who is logged in.
    pub user_id: UserId,
    /// By what the user comes in.
    pub link: NewLink,
}

/// Come in by an identity no more.
#[derive(Debug, Clone, Copy)]
pub struct UnlinkExternalIdentity {
    /// The user.
    pub user_id: UserId,
    /// What the identity is called here.
    pub id: Uuid,
}

impl NewLink {
    fn event(self, user_id: UserId, by: LinkedBy) -> Event {
        let Self { id, identity, at } = self;
        let identity = Personal::new(user_id, identity);
        let event = ExternalIdentityLinked { user_id, id, identity, by, linked_at: at };
        IdentityEvent::from(event).into()
    }
}

impl Decider for RegisterByExternalIdentity {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, email, name, link } = self.clone();
        let registered_at = link.at;
        let register = RegisterUser { user_id, email, name, is_verified: true, registered_at };
        let mut events = Decider::decide(&register, aggregates)?;
        events.push(link.event(user_id, LinkedBy::Registration));
        Ok(events)
    }
}

impl Decider for LinkByAddress {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, email, name, takes_over, link } = self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if account.has_linked(&link.identity) {
            return Ok(Vec::new());
        }
        let is_own = account.email.value();
        if is_own.is_none_or(|own| own.unique_form() != email.unique_form()) {
            return Err(Rejection::OtherAddress(user_id));
        }
        if takes_over == account.is_verified {
            return Err(Rejection::VerifiedMeanwhile(user_id));
        }
        account.has_room(user_id)?;
        if account.is_verified {
            return Ok(vec![link.event(user_id, LinkedBy::Address)]);
        }
        let generation = account.generation + 1;
        let renamed = name.filter(|name| account.name.value() != Some(name)).map(|name| {
            let name = Personal::new(user_id, name);
            IdentityEvent::from(ProfileChanged { user_id, name }).into()
        });
        let events = [
            IdentityEvent::from(SessionsEnded { user_id, generation }).into(),
            IdentityEvent::from(EmailVerified { user_id }).into(),
            link.event(user_id, LinkedBy::TakeOver),
        ];
        Ok(events.into_iter().chain(renamed).collect())
    }
}

impl Decider for LinkExternalIdentity {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, link } = self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if account.has_linked(&link.identity) {
            return Ok(Vec::new());
        }
        account.has_room(user_id)?;
        Ok(vec![link.event(user_id, LinkedBy::Owner)])
    }
}

impl Decider for UnlinkExternalIdentity {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, id } = *self;
        let account = User::find_active(aggregates, user_id)?;
        let linked = account.external.iter().find(|linked| linked.id == id);
        let Some(linked) = linked else { return Err(Rejection::NotLinked(user_id)) };
        if account.is_passwordless && account.external.len() == 1 {
            return Err(Rejection::LastWayIn(user_id));
        }
        let identity = linked.identity.clone();
        let event = ExternalIdentityUnlinked { user_id, id, identity };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}

#[cfg(test)]
mod tests;
