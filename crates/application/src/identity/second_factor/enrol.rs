//! A second factor is told to a device, and is one once a code of it comes back.

use chrono::{DateTime, TimeDelta, Utc};
use domain::Decision;
use domain::identity::{EnableSecondFactor, Rejection, ReplaceRecoveryCodes, UseRecoveryCode};
use domain::ids::UserId;
use eventstore::answer::within;
use secrecy::SecretString;
use serde_json::value::RawValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::RightCode;
use super::tries::Tries;
use crate::command::Origin;
use crate::identity::failures::Targets;
use crate::identity::secrets::Secret;
use crate::identity::{Identity, IdentityError};
use crate::second_factor::recovery::CODES;
use crate::second_factor::{RecoveryCode, RecoveryDigest, TotpSecret};
use crate::{CommandError, Refusal};

/// How long a code of the device is waited for.
const PENDING: TimeDelta = TimeDelta::minutes(10);

/// What is told to a device, once.
#[derive(Debug)]
pub struct Enrolment {
    /// The seed, as it is typed where no camera is.
    pub secret: SecretString,
    /// The same as apps read it.
    pub url: SecretString,
    /// Until when a code of it is waited for.
    pub expires_at: DateTime<Utc>,
}

/// Codes for when the device is lost, told once.
#[derive(Debug)]
pub struct RecoveryCodes(pub Vec<SecretString>);

/// A seed of which no code has come back yet.
struct Pending {
    enrolment: Uuid,
    seed: TotpSecret,
}

impl Identity {
    /// Makes the seed of a second factor for `user`, who knows the password. Nothing changes until
    /// [`Identity::confirm_second_factor`]; another seed replaces one that waits for that.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]: the password is wrong, or was so too often.
    /// [`Rejection::HasSecondFactor`]: it is to be taken away first.
    pub async fn begin_second_factor(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<Enrolment, IdentityError> {
        let email = self.prove(user, password).await?;
        let account = self.account(user).await?.ok_or(IdentityError::NotLetIn)?;
        if account.second_factor.is_some() {
            return Err(refused(Rejection::HasSecondFactor(user)));
        }
        let seed = TotpSecret::random(self.randomness.as_ref())?;
        let service = &self.second_factors.service;
        // Few addresses hold what has no place there; their owners know themselves by their ids.
        let url = seed.url(service, email.as_str());
        let url = url.or_else(|_| seed.url(service, &user.to_string()))?;
        let sealed = self.second_factors.seal(user, &seed).await?;
        let expires_at = self.bus.clock.now() + PENDING;
        let kept = sqlx::query!(
            "
            INSERT INTO identity.pending_second_factors (user_id, enrolment, seed, expires_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (user_id) DO UPDATE
            SET enrolment = excluded.enrolment,
                seed = excluded.seed,
                expires_at = excluded.expires_at
            ",
            user.get(),
            self.bus.ids.next(),
            Json(sealed) as _,
            expires_at,
        );
        within(kept.execute(self.bus.store().pool())).await?;
        Ok(Enrolment { secret: seed.base32(), url, expires_at })
    }

    /// Takes the seed that waits for it as the second factor of `user`, whose device shows `code`.
    ///
    /// # Errors
    /// [`IdentityError::CodeRefused`]: it is wrong, or nothing waits for it any more.
    /// [`IdentityError::NotLetIn`]: wrong ones were tried too often.
    pub async fn confirm_second_factor(
        &self,
        origin: &Origin,
        user: UserId,
        code: &SecretString,
    ) -> Result<RecoveryCodes, IdentityError> {
        let pool = self.bus.store().pool();
        let pending = self.pending(user).await?.ok_or(IdentityError::CodeRefused)?;
        let tries = Tries::of(self.bus.digests()?, user);
        if !tries.attempt(pool).await? {
            return Err(IdentityError::NotLetIn);
        }
        let step = pending.seed.accept(&super::prove::digits(code), self.bus.clock.now(), None);
        let step = step.ok_or(IdentityError::CodeRefused)?;
        let (codes, digests) = self.recovery_codes()?;
        let enable = EnableSecondFactor { user_id: user, recovery_codes: count(&digests) };
        let asked = ("enable-second-factor", user, pending.enrolment);
        let command = self.command(origin, &asked, vec![Box::new(enable)])?;
        let secrets = [
            Secret::SecondFactor {
                user,
                enrolment: pending.enrolment,
                step,
                now: self.bus.clock.now(),
            },
            Secret::RecoveryCodes { user, digests: &digests },
        ];
        self.execute(&command, &secrets).await?;
        tries.forgive(pool).await?;
        Ok(codes)
    }

    /// Other codes for when the device is lost, for `user` who knows the password and has a `code`.
    ///
    /// # Errors
    /// [`IdentityError::NotLetIn`]; [`IdentityError::CodeRefused`]; [`Rejection::NoSecondFactor`].
    pub async fn replace_recovery_codes(
        &self,
        origin: &Origin,
        user: UserId,
        (password, code): (SecretString, SecretString),
    ) -> Result<RecoveryCodes, IdentityError> {
        let right = self.prove_both(user, password, &code).await?;
        let (codes, digests) = self.recovery_codes()?;
        let replace = ReplaceRecoveryCodes { user_id: user, recovery_codes: count(&digests) };
        let decisions = used(user, right).into_iter().chain([Box::new(replace) as Box<_>]);
        let asked = ("replace-recovery-codes", user);
        let command = self.command(origin, &asked, decisions.collect())?;
        let secrets = [
            Secret::Code { user, right: &right },
            Secret::RecoveryCodes { user, digests: &digests },
        ];
        self.execute(&command, &secrets).await?;
        self.forgive_tries(user).await?;
        Ok(codes)
    }

    /// Of `user`, who is asked for the password and a code: what the code was.
    pub(super) async fn prove_both(
        &self,
        user: UserId,
        password: SecretString,
        code: &SecretString,
    ) -> Result<RightCode, IdentityError> {
        let email = self.prove(user, password).await?;
        let targets = Targets::of(self.bus.digests()?, &email, None);
        let right = self.prove_code(user, code, &targets).await?;
        right.ok_or_else(|| refused(Rejection::NoSecondFactor(user)))
    }

    async fn pending(&self, user: UserId) -> Result<Option<Pending>, IdentityError> {
        let pending = sqlx::query!(
            r#"
            SELECT enrolment, seed AS "seed: Json<Box<RawValue>>"
            FROM identity.pending_second_factors
            WHERE user_id = $1 AND expires_at > $2
            "#,
            user.get(),
            self.bus.clock.now(),
        );
        let pending = within(pending.fetch_optional(self.bus.store().pool())).await?;
        let Some(row) = pending else { return Ok(None) };
        let seed = self.second_factors.open(user, &row.seed.0).await?;
        Ok(seed.map(|seed| Pending { enrolment: row.enrolment, seed }))
    }

    fn recovery_codes(&self) -> Result<(RecoveryCodes, Vec<RecoveryDigest>), IdentityError> {
        let codes = RecoveryCode::set(self.randomness.as_ref())?;
        let digests = codes.iter().map(RecoveryCode::digest).collect();
        let codes = codes.iter().map(|code| code.text().clone()).collect();
        Ok((RecoveryCodes(codes), digests))
    }
}

/// What the domain has to say to `right` being used.
pub(in crate::identity) fn used(user_id: UserId, right: RightCode) -> Option<Box<dyn Decision>> {
    match right {
        RightCode::Step { .. } => None,
        RightCode::Recovery(_) => Some(Box::new(UseRecoveryCode { user_id })),
    }
}

fn count(digests: &[RecoveryDigest]) -> u8 {
    const _: () = assert!(CODES <= u8::MAX as usize, "they are counted by a byte");
    u8::try_from(digests.len()).unwrap_or(u8::MAX)
}

fn refused(rejection: Rejection) -> IdentityError {
    CommandError::Rejected(Refusal::Rejected(rejection.into())).into()
}
