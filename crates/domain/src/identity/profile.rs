//! What people call a user.

use super::{IdentityEvent, ProfileChanged, Rejection, User};
use crate::ids::UserId;
use crate::values::{PersonName, Personal};
use crate::{Aggregates, Decider, Event, Stream};

/// Be called otherwise.
#[derive(Debug, Clone)]
pub struct ChangeProfile {
    /// The user.
    pub user_id: UserId,
    /// What people shall call the user.
    pub name: PersonName,
}

impl Decider for ChangeProfile {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, name } = self.clone();
        let account = User::find_active(aggregates, user_id)?;
        if account.name.value() == Some(&name) {
            return Ok(Vec::new());
        }
        let name = Personal::new(user_id, name);
        Ok(vec![IdentityEvent::from(ProfileChanged { user_id, name }).into()])
    }
}
