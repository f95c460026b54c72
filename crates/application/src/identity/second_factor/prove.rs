//! Whether a code is right.

use domain::identity::Standing;
use domain::ids::UserId;
use eventstore::answer::within;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::value::RawValue;
use sqlx::types::Json;
use zeroize::Zeroizing;

use super::RightCode;
use super::tries::Tries;
use crate::identity::failures::Targets;
use crate::identity::{Identity, IdentityError};
use crate::second_factor::{RecoveryDigest, TotpStep};

impl Identity {
    /// What `code` of `user` was, who has given the right password; nothing if there is nothing to
    /// prove. It is not used up yet: [`Secret::Code`](super::super::secrets::Secret::Code).
    ///
    /// # Errors
    /// [`IdentityError::CodeRefused`]: it is wrong or was used, which counts like a wrong password.
    /// [`IdentityError::NotLetIn`]: wrong ones were tried too often.
    pub(in crate::identity) async fn prove_code(
        &self,
        user: UserId,
        code: &SecretString,
        targets: &Targets,
    ) -> Result<Option<RightCode>, IdentityError> {
        let pool = self.bus.store().pool();
        let account = self.account(user).await?;
        // Who may not come in is told so by what follows, and nothing of the code.
        let account = account.filter(|account| account.standing == Standing::Active);
        if account.is_none_or(|account| account.second_factor.is_none()) {
            return Ok(None);
        }
        if !Tries::of(self.bus.digests()?, user).attempt(pool).await? {
            return Err(IdentityError::NotLetIn);
        }
        let right = self.look_at(user, code).await?;
        if right.is_none() {
            targets.count(pool).await?;
            return Err(IdentityError::CodeRefused);
        }
        Ok(right)
    }

    /// A right code lets try again as often as at first.
    pub(in crate::identity) async fn forgive_tries(
        &self,
        user: UserId,
    ) -> Result<(), IdentityError> {
        let tries = Tries::of(self.bus.digests()?, user);
        Ok(tries.forgive(self.bus.store().pool()).await?)
    }

    async fn look_at(
        &self,
        user: UserId,
        code: &SecretString,
    ) -> Result<Option<RightCode>, IdentityError> {
        let pool = self.bus.store().pool();
        let kept = sqlx::query!(
            r#"
            SELECT enrolment, seed AS "seed: Json<Box<RawValue>>", last_step
            FROM identity.second_factors
            WHERE user_id = $1
            "#,
            user.get(),
        );
        let Some(kept) = within(kept.fetch_optional(pool)).await? else { return Ok(None) };
        let Some(seed) = self.second_factors.open(user, &kept.seed.0).await? else {
            return Ok(None);
        };
        let last_used = u64::try_from(kept.last_step).ok().map(TotpStep::new);
        if let Some(step) = seed.accept(&digits(code), self.bus.clock.now(), last_used) {
            return Ok(Some(RightCode::Step { enrolment: kept.enrolment, step }));
        }
        let Some(digest) = RecoveryDigest::of(code) else { return Ok(None) };
        let is_unused = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM identity.recovery_codes WHERE user_id = $1 AND digest = $2
            ) AS "is_unused!"
            "#,
            user.get(),
            digest.as_bytes(),
        );
        let is_unused = within(is_unused.fetch_one(pool)).await?;
        Ok(is_unused.then_some(RightCode::Recovery(digest)))
    }
}

/// A code as devices show it, in groups or not.
pub(super) fn digits(code: &SecretString) -> Zeroizing<String> {
    let code = code.expose_secret();
    let mut digits = Zeroizing::new(String::with_capacity(code.len()));
    digits.extend(code.chars().filter(|digit| !digit.is_whitespace()));
    digits
}
