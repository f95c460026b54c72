//! Addresses: proved, and changed for others.

use super::{
    EmailChangeRequested, EmailChanged, EmailVerified, IdentityEvent, Rejection, User,
    VerificationRequested,
};
use crate::ids::UserId;
use crate::values::{Email, Personal};
use crate::{Aggregates, Decider, Event, Stream};

/// Mail once more what proves the address, or the one that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct RequestVerification {
    /// The user.
    pub user_id: UserId,
}

/// Take it as proved that an address is the user's own.
#[derive(Debug, Clone)]
pub struct VerifyEmail {
    /// The user.
    pub user_id: UserId,
    /// The address to which the proof was mailed.
    pub email: Email,
}

/// Want another address.
#[derive(Debug, Clone)]
pub struct ChangeEmail {
    /// The user.
    pub user_id: UserId,
    /// The address.
    pub email: Email,
}

impl Decider for RequestVerification {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        let account = User::find_active(aggregates, user_id)?;
        if account.is_verified && account.wanted.is_none() {
            return Ok(Vec::new());
        }
        Ok(vec![IdentityEvent::from(VerificationRequested { user_id }).into()])
    }
}

impl Decider for VerifyEmail {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, email } = self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if account.wanted.as_ref().and_then(Personal::value) == Some(&email) {
            let (email, previous) = (Personal::new(user_id, email), account.email.clone());
            let event = EmailChanged { user_id, email, previous };
            return Ok(vec![IdentityEvent::from(event).into()]);
        }
        match account.email.value() {
            Some(own) if *own == email && account.is_verified => Ok(Vec::new()),
            Some(own) if *own == email => {
                Ok(vec![IdentityEvent::from(EmailVerified { user_id }).into()])
            }
            Some(_) | None => Err(Rejection::OtherAddress(user_id)),
        }
    }
}

impl Decider for ChangeEmail {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    /// It is the user's only when it is proved; until then the one before is.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, email } = self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if account.wanted.is_none() && account.email.value() == Some(&email) {
            return Ok(Vec::new());
        }
        let event = EmailChangeRequested { user_id, email: Personal::new(user_id, email) };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}
