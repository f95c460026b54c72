//! That passwords are changed and forgotten; not which ones they are.

use super::session::keep;
use super::{
    EmailVerified, IdentityEvent, PasswordChanged, PasswordResetRequested, Rejection, User,
};
use crate::ids::{SessionId, UserId};
use crate::{Aggregates, Decider, Event, Stream};

/// Mail what lets a user choose another password.
#[derive(Debug, Clone, Copy)]
pub struct RequestPasswordReset {
    /// The user.
    pub user_id: UserId,
}

/// Record that the user has another password; all other sessions end.
#[derive(Debug, Clone, Copy)]
pub struct RecordPassword {
    /// The user.
    pub user_id: UserId,
    /// The session in which it was changed, which goes on.
    pub keep: Option<SessionId>,
    /// Whether who chose it could read mail to the user's address.
    pub proves_address: bool,
}

impl Decider for RequestPasswordReset {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        User::find_active(aggregates, user_id)?;
        Ok(vec![IdentityEvent::from(PasswordResetRequested { user_id }).into()])
    }
}

impl Decider for RecordPassword {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        let kept = self.keep.map(super::session);
        [super::user(self.user_id)].into_iter().chain(kept).collect()
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, keep: kept, proves_address } = *self;
        let account = User::find_active(aggregates, user_id)?;
        let generation = account.generation + 1;
        let mut events = vec![IdentityEvent::from(PasswordChanged { user_id, generation }).into()];
        if proves_address && !account.is_verified {
            events.push(IdentityEvent::from(EmailVerified { user_id }).into());
        }
        events.extend(keep(aggregates, (user_id, account), kept, generation)?);
        Ok(events)
    }
}
