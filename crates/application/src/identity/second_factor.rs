//! The second factor of users: enrolled, proved, taken away.
//!
//! What a device shows is proved by the seed, which is sealed under the key of the user, so that it goes
//! with the rest of what is personal. Codes for when the device is lost are kept as digests. Both are
//! used up in the transaction of what they were used for: of two at the same time one is let in.

mod enrol;
mod prove;
mod remove;
mod tries;

use std::sync::Arc;

use domain::ids::UserId;
use eventstore::{Keyring, Personal, PersonalError, Place};
use serde_json::value::RawValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::IdentityError;
use crate::codec::personal_subject;
use crate::second_factor::{RecoveryDigest, TotpSecret, TotpStep};

pub(super) use enrol::used;
pub use enrol::{Enrolment, RecoveryCodes};

/// What second factors take besides the rest.
#[derive(Clone)]
pub struct SecondFactors {
    /// Seals seeds.
    pub keyring: Keyring,
    /// What apps call this service.
    pub service: Arc<str>,
}

impl std::fmt::Debug for SecondFactors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactors").field("service", &self.service).finish_non_exhaustive()
    }
}

/// What a code was that is right, to be used up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RightCode {
    /// What the device shows.
    Step {
        /// Of which seed.
        enrolment: Uuid,
        /// Of which moment.
        step: TotpStep,
    },
    /// One for when the device is lost.
    Recovery(RecoveryDigest),
}

impl SecondFactors {
    /// The seed of `user` as it is kept.
    async fn seal(&self, user: UserId, seed: &TotpSecret) -> Result<Box<RawValue>, IdentityError> {
        let seal = || {
            let seed = Personal::new(personal_subject(user), *seed.expose());
            serde_json::value::to_raw_value(&seed)
        };
        self.keyring.seal(&place(user), seal).await.map_err(failed)
    }

    /// The seed of `user` that was kept; nothing if it is erased.
    async fn open(
        &self,
        user: UserId,
        sealed: &RawValue,
    ) -> Result<Option<TotpSecret>, IdentityError> {
        let open = || serde_json::from_str::<Personal<[u8; 20]>>(sealed.get());
        let seed = self.keyring.open(&place(user), open).await.map_err(failed)?;
        Ok(seed.into_value().map(Zeroizing::new).map(TotpSecret::new))
    }
}

fn place(user: UserId) -> Place {
    Place::other(format!("identity.second-factor:{user}"))
}

fn failed(error: PersonalError<serde_json::Error>) -> IdentityError {
    match error {
        PersonalError::Keyring(error) => IdentityError::Keyring(error),
        PersonalError::Codec(error) => crate::CommandError::Encode(error.into()).into(),
    }
}
