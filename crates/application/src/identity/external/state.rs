//! What a login that was begun is known by.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::UserId;
use domain::values::ProviderName;
use eventstore::Digests;
use eventstore::answer::within;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::identity::{Identity, IdentityError};
use crate::ports::{NoRandomness, Randomness};

/// Longer than any request takes: after that whoever completed it is gone.
const BUSY: TimeDelta = TimeDelta::seconds(15);

/// State and binding, as the client has them.
pub(super) struct Proof {
    state: Zeroizing<String>,
    binding: Zeroizing<String>,
}

/// What follows from a [`Proof`]: two digests to be kept, two secrets that are not.
pub(super) struct Secrets {
    pub(super) state: [u8; 32],
    pub(super) binding: [u8; 32],
    pub(super) verifier: SecretString,
    pub(super) nonce: SecretString,
}

/// A login that was begun.
pub(super) struct Begun {
    /// As it is kept.
    pub(super) state: [u8; 32],
    pub(super) provider: ProviderName,
    pub(super) redirect_uri: String,
}

/// What a login that was begun must be.
pub(super) struct Expected<'a> {
    /// At which provider; none if it does not matter.
    pub(super) provider: Option<&'a ProviderName>,
    /// Who has begun it; none for who wants to come in.
    pub(super) user: Option<UserId>,
}

impl Proof {
    /// One that nobody can guess.
    pub(super) fn new(randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let text = || {
            let mut bytes = Zeroizing::new([0; 32]);
            randomness.fill(bytes.as_mut())?;
            Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
        };
        Ok(Self { state: text()?, binding: text()? })
    }

    /// What somebody shows.
    pub(super) fn of(state: &SecretString, binding: &SecretString) -> Self {
        let text = |secret: &SecretString| Zeroizing::new(secret.expose_secret().to_owned());
        Self { state: text(state), binding: text(binding) }
    }

    pub(super) fn into_parts(self) -> (Zeroizing<String>, Zeroizing<String>) {
        (self.state, self.binding)
    }

    pub(super) fn secrets(&self, digests: &Digests) -> Secrets {
        let (state, binding) = (self.state.as_bytes(), self.binding.as_bytes());
        let both = |purpose: &str| {
            let bytes = Zeroizing::new(digests.of(purpose, &[state, binding]));
            SecretString::from(URL_SAFE_NO_PAD.encode(*bytes))
        };
        Secrets {
            state: digests.of("identity.external-login.state", &[state]),
            binding: digests.of("identity.external-login.binding", &[binding]),
            verifier: both("identity.external-login.verifier"),
            nonce: both("identity.external-login.nonce"),
        }
    }
}

impl Secrets {
    /// What the provider is told of the verifier (S256).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose_secret()))
    }

    /// The nonce, for the address of the provider's page.
    pub(super) fn nonce_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.nonce.expose_secret().to_owned())
    }
}

impl Identity {
    pub(super) async fn keep_begun(
        &self,
        begun: &Begun,
        binding: &[u8; 32],
        user: Option<UserId>,
        expires_at: DateTime<Utc>,
    ) -> Result<(), IdentityError> {
        let kept = sqlx::query!(
            "
            INSERT INTO identity.external_logins
                (state, binding, provider, redirect_uri, user_id, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ",
            &begun.state[..],
            &binding[..],
            begun.provider.as_str(),
            begun.redirect_uri,
            user.map(UserId::get),
            expires_at,
        );
        within(kept.execute(self.bus.store().pool())).await?;
        Ok(())
    }

    /// The login that was begun with `secrets`, if it is what is `expected`, not over, and nobody else
    /// completes it at the same time. It is used up by what it lets in, in one transaction.
    pub(super) async fn begun(
        &self,
        secrets: &Secrets,
        expected: Expected<'_>,
    ) -> Result<Begun, IdentityError> {
        let row = sqlx::query!(
            "
            SELECT binding, provider, redirect_uri, user_id FROM identity.external_logins
            WHERE state = $1 AND expires_at > $2
            ",
            &secrets.state[..],
            self.bus.clock.now(),
        );
        let row = within(row.fetch_optional(self.bus.store().pool())).await?;
        let row = row.ok_or(IdentityError::NotBegun)?;
        let is_bound = bool::from(row.binding.ct_eq(&secrets.binding[..]));
        let is_of_user = row.user_id.map(UserId::new) == expected.user;
        let provider = ProviderName::try_from(row.provider).ok();
        let provider = provider.filter(|known| expected.provider.is_none_or(|it| it == known));
        match provider {
            Some(provider) if is_bound && is_of_user => {
                self.take(&secrets.state).await?;
                Ok(Begun { state: secrets.state, provider, redirect_uri: row.redirect_uri })
            }
            _ => Err(IdentityError::NotBegun),
        }
    }

    /// Lets nobody else complete it for a while.
    async fn take(&self, state: &[u8; 32]) -> Result<(), IdentityError> {
        let now = self.bus.clock.now();
        let taken = sqlx::query!(
            "
            UPDATE identity.external_logins SET busy_until = $3
            WHERE state = $1 AND (busy_until IS NULL OR busy_until <= $2)
            ",
            &state[..],
            now,
            now + BUSY,
        );
        let taken = within(taken.execute(self.bus.store().pool())).await?;
        if taken.rows_affected() == 0 { Err(IdentityError::NotBegun) } else { Ok(()) }
    }

    /// Lets whoever has begun it try again.
    pub(super) async fn leave(&self, begun: &Begun) -> Result<(), IdentityError> {
        let left = sqlx::query!(
            "UPDATE identity.external_logins SET busy_until = NULL WHERE state = $1",
            &begun.state[..],
        );
        within(left.execute(self.bus.store().pool())).await?;
        Ok(())
    }
}
