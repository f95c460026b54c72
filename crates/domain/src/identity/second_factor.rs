//! That a user proves to be the one by a second thing besides the password; not what it is.
//!
//! Sessions that go on are not concerned: they began with what was asked for then.

use serde::{Deserialize, Serialize};

use super::{
    IdentityEvent, RecoveryCodeUsed, RecoveryCodesReplaced, Rejection, SecondFactorDisabled,
    SecondFactorEnabled, User,
};
use crate::ids::UserId;
use crate::{Aggregates, Decider, Event, Stream};

/// The second factor of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// How many codes for when the device is lost are not used yet.
    pub recovery_codes: u8,
}

/// Who has taken a second factor away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledBy {
    /// The user, with the password and a code.
    User,
    /// An operator.
    Operator,
}

/// From now on the password alone lets nobody in.
#[derive(Debug, Clone, Copy)]
pub struct EnableSecondFactor {
    /// The user.
    pub user_id: UserId,
    /// How many codes there are for when the device is lost.
    pub recovery_codes: u8,
}

/// From now on the password alone lets in again.
#[derive(Debug, Clone, Copy)]
pub struct DisableSecondFactor {
    /// The user.
    pub user_id: UserId,
    /// Who asks for it.
    pub by: DisabledBy,
}

/// Use up a code for when the device is lost.
#[derive(Debug, Clone, Copy)]
pub struct UseRecoveryCode {
    /// The user.
    pub user_id: UserId,
}

/// Have other codes for when the device is lost; none of before is good any more.
#[derive(Debug, Clone, Copy)]
pub struct ReplaceRecoveryCodes {
    /// The user.
    pub user_id: UserId,
    /// How many there are from now on.
    pub recovery_codes: u8,
}

impl Decider for EnableSecondFactor {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, recovery_codes } = *self;
        if User::find_active(aggregates, user_id)?.second_factor.is_some() {
            return Err(Rejection::HasSecondFactor(user_id));
        }
        let event = SecondFactorEnabled { user_id, recovery_codes };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}

impl Decider for DisableSecondFactor {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    /// Nothing follows if an operator asks and there is none; of whoever else may not come in, too.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, by } = *self;
        let account = match by {
            DisabledBy::User => User::find_active(aggregates, user_id)?,
            DisabledBy::Operator => User::find(aggregates, user_id)?,
        };
        match (account.second_factor, by) {
            (Some(_), _) => {
                Ok(vec![IdentityEvent::from(SecondFactorDisabled { user_id, by }).into()])
            }
            (None, DisabledBy::Operator) => Ok(Vec::new()),
            (None, DisabledBy::User) => Err(Rejection::NoSecondFactor(user_id)),
        }
    }
}

impl Decider for UseRecoveryCode {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id } = *self;
        match User::find_active(aggregates, user_id)?.second_factor {
            Some(SecondFactor { recovery_codes: 1.. }) => {
                Ok(vec![IdentityEvent::from(RecoveryCodeUsed { user_id }).into()])
            }
            Some(SecondFactor { recovery_codes: 0 }) | None => {
                Err(Rejection::NoSecondFactor(user_id))
            }
        }
    }
}

impl Decider for ReplaceRecoveryCodes {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::user(self.user_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { user_id, recovery_codes } = *self;
        if User::find_active(aggregates, user_id)?.second_factor.is_none() {
            return Err(Rejection::NoSecondFactor(user_id));
        }
        let event = RecoveryCodesReplaced { user_id, recovery_codes };
        Ok(vec![IdentityEvent::from(event).into()])
    }
}
