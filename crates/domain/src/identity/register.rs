//! New accounts.

use chrono::{DateTime, Utc};

use super::{IdentityEvent, RegistrationRepeated, Rejection, User, UserRegistered};
use crate::ids::UserId;
use crate::values::{Email, PersonName, Personal};
use crate::{Aggregates, Decider, Event, Stream};

/// Open an account.
#[derive(Debug, Clone)]
pub struct RegisterUser {
    /// The id the user shall have.
    pub user_id: UserId,
    /// The address.
    pub email: Email,
    /// What people shall call the user.
    pub name: PersonName,
    /// Whether the address needs no proof, because somebody vouches for it.
    pub is_verified: bool,
    /// Now.
    pub registered_at: DateTime<Utc>,
}

/// Somebody asks for an account with the address of a user: the user shall know.
#[derive(Debug, Clone, Copy)]
pub struct RepeatRegistration {
    /// The user who has the address.
    pub user_id: UserId,
}

impl Decider for RegisterUser {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, email, name, is_verified, registered_at } = self.clone();
        let user: Option<&User> = aggregates.get(super::user(user_id));
        if user.and_then(User::account).is_some() {
            return Err(Rejection::AlreadyRegistered(user_id));
        }
        let (email, name) = (Personal::new(user_id, email), Personal::new(user_id, name));
        let event = UserRegistered { user_id, email, name, is_verified, registered_at };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}

impl Decider for RepeatRegistration {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        User::find(aggregates, user_id)?;
        Ok(vec![IdentityEvent::from(RegistrationRepeated { user_id }).into()])
    }
}
