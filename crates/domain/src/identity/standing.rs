//! Whether a user may come in.

use serde::{Deserialize, Serialize};

use super::{IdentityEvent, Rejection, User, UserDeactivated, UserReinstated, UserSuspended};
use crate::ids::UserId;
use crate::{Aggregates, Decider, Event, Stream};

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The user may come in.
    Active,
    /// The user is kept out until further notice.
    Suspended,
    /// The account is closed for good.
    Deactivated,
}

/// Keep a user out until further notice.
#[derive(Debug, Clone, Copy)]
pub struct SuspendUser {
    /// The user.
    pub user_id: UserId,
}

/// Let a user in again.
#[derive(Debug, Clone, Copy)]
pub struct ReinstateUser {
    /// The user.
    pub user_id: UserId,
}

/// Close an account for good. Its address stays taken until its data is erased.
#[derive(Debug, Clone, Copy)]
pub struct DeactivateUser {
    /// The user.
    pub user_id: UserId,
}

impl Decider for SuspendUser {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        match User::find(aggregates, user_id)?.standing {
            Standing::Active => Ok(vec![IdentityEvent::from(UserSuspended { user_id }).into()]),
            Standing::Suspended => Ok(Vec::new()),
            Standing::Deactivated => Err(Rejection::Deactivated(user_id)),
        }
    }
}

impl Decider for ReinstateUser {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        match User::find(aggregates, user_id)?.standing {
            Standing::Suspended => Ok(vec![IdentityEvent::from(UserReinstated { user_id }).into()]),
            Standing::Active => Ok(Vec::new()),
            Standing::Deactivated => Err(Rejection::Deactivated(user_id)),
        }
    }
}

impl Decider for DeactivateUser {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        match User::find(aggregates, user_id)?.standing {
            Standing::Active | Standing::Suspended => {
                Ok(vec![IdentityEvent::from(UserDeactivated { user_id }).into()])
            }
            Standing::Deactivated => Ok(Vec::new()),
        }
    }
}
