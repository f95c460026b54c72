//! Coming in by an identity elsewhere.
//!
//! A login is begun here, goes on in the browser at the provider, and is completed here with the code
//! that the provider gave. What is begun gets a *state*, which travels with the browser, and a
//! *binding*, which only the client knows that began it: so nobody completes in another's browser what
//! he has begun in his own. Both are kept as digests. The verifier (PKCE) and the nonce are HMACs of the
//! two under a key that the database never sees, so they are kept nowhere.
//!
//! Who comes in: who has linked the identity; else, if the provider vouches for the address, who has
//! that address; else a new user. All of it and the session is one append, which takes the claim of the
//! identity: of many first logins at once one makes the user, and the others find it.

mod link;
mod redirects;
mod state;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Decision;
use domain::identity::{
    Client, EXTERNAL, LinkByAddress, NewLink, RegisterByExternalIdentity, Rejection,
};
use domain::ids::UserId;
use domain::values::{Email, ExternalIdentity, PersonName, ProviderName};
use eventstore::AppendError;
use secrecy::SecretString;

use super::failures::Targets;
use super::log_in::{Before, not_let_in};
use super::second_factor::RightCode;
use super::secrets::Secret;
use super::{Identity, IdentityError, Tokens};
use crate::command::Origin;
use crate::ports::external_login::{
    Authorization, ExternalLogin, Grant, ProviderError, ProviderShown, Vouched,
};
use crate::{CommandError, Refusal};
use state::{Begun, Expected, Proof};

pub use link::{ExternalIdentityShown, LinkIdentity};
pub use redirects::{InvalidRedirect, Redirects};

/// How long somebody may take at the provider.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// How often it is decided anew when others are faster.
const ATTEMPTS: usize = 5;

/// Where people may come in from, and where they are sent afterwards.
#[derive(Clone)]
pub struct ExternalLogins {
    /// Asks the providers.
    pub port: Arc<dyn ExternalLogin>,
    /// Where browsers may be sent.
    pub redirects: Redirects,
}

/// A login that was begun.
#[derive(Debug)]
pub struct BegunLogin {
    /// The page of the provider on which somebody logs in.
    pub authorization_url: String,
    /// What comes back with the browser.
    pub state: SecretString,
    /// What the client keeps for itself.
    pub binding: SecretString,
    /// Until when it can be completed.
    pub expires_at: DateTime<Utc>,
}

/// What a login is completed with.
#[derive(Debug)]
pub struct CompleteLogin {
    /// What came back with the browser.
    pub state: SecretString,
    /// What the client has kept.
    pub binding: SecretString,
    /// What the provider gave.
    pub code: SecretString,
    /// Who says to have given it, if that came back as well.
    pub issuer: Option<String>,
    /// What the device of a second factor shows, or a recovery code.
    pub second_factor: Option<SecretString>,
}

impl Identity {
    /// The same, where people may also come in from elsewhere.
    #[must_use]
    pub fn with_external_logins(self, external: ExternalLogins) -> Self {
        Self { external: Some(external), ..self }
    }

    /// Which providers there are.
    #[must_use]
    pub fn providers(&self) -> &[ProviderShown] {
        self.external.as_ref().map_or(&[], |external| external.port.providers())
    }

    /// Begins a login at `provider`, after which the browser comes to `redirect_uri`.
    ///
    /// # Errors
    /// [`IdentityError::Provider`]; [`IdentityError::RedirectNotAllowed`].
    pub async fn begin_external_login(
        &self,
        provider: &ProviderName,
        redirect_uri: &str,
    ) -> Result<BegunLogin, IdentityError> {
        self.begin_external(provider, redirect_uri, None).await
    }

    /// Starts a session of who has logged in at `provider`.
    ///
    /// # Errors
    /// [`IdentityError::NotBegun`]; [`IdentityError::Provider`]: the login can be completed later if it
    /// is [unavailable](ProviderError::Unavailable); [`IdentityError::AddressNotVouched`];
    /// [`IdentityError::NotLetIn`]: the user is suspended or has closed the account;
    /// [`IdentityError::SecondFactorRequired`] and [`IdentityError::CodeRefused`]: whoever stands for the
    /// user elsewhere does not stand for the second factor here. The login is to be begun again.
    pub async fn complete_external_login(
        &self,
        origin: &Origin,
        provider: &ProviderName,
        mut asked: CompleteLogin,
        (address, agent): (Option<IpAddr>, Option<String>),
    ) -> Result<Tokens, IdentityError> {
        let code = asked.second_factor.take();
        let expected = Expected { provider: Some(provider), user: None };
        let (begun, vouched) = self.vouched(asked, expected).await?;
        let client =
            Client { address: address.map_or_else(String::new, |ip| ip.to_string()), agent };
        let mut attempt = 1;
        loop {
            let second = (code.as_ref(), address);
            match self.enter(origin, (&begun, &vouched), client.clone(), second).await {
                Err(error) if attempt < ATTEMPTS && is_overtaken(&error) => attempt += 1,
                // Somebody else has completed it.
                Err(IdentityError::InvalidToken) => return Err(IdentityError::NotBegun),
                Err(error) => {
                    return Err(match not_let_in(error) {
                        // The provider vouches for it.
                        IdentityError::NotVerified => IdentityError::NotLetIn,
                        error => error,
                    });
                }
                Ok(tokens) => {
                    if code.is_some() {
                        self.forgive_tries(tokens.user).await?;
                    }
                    return Ok(tokens);
                }
            }
        }
    }

    /// Starts a session of whoever it is now that comes in by what is `vouched` for.
    async fn enter(
        &self,
        origin: &Origin,
        (begun, vouched): (&Begun, &Vouched),
        client: Client,
        second: (Option<&SecretString>, Option<IpAddr>),
    ) -> Result<Tokens, IdentityError> {
        let completed = Secret::ExternalLogin { state: &begun.state };
        if let Some(user) = self.find_external(&vouched.identity).await? {
            let right = self.second_of(user, second).await?;
            let before = Before { right, decisions: Vec::new(), secrets: vec![completed] };
            return self.start_after(origin, (user, client), before).await;
        }
        let email = vouched.email.clone().filter(|_| vouched.email_verified);
        let email = email.and_then(|email| Email::try_from(email).ok());
        let email = email.ok_or(IdentityError::AddressNotVouched)?;
        let name = vouched.name.clone().and_then(|name| PersonName::try_from(name).ok());
        let (id, at) = (self.bus.ids.next(), self.bus.clock.now());
        let link = NewLink { id, identity: vouched.identity.clone(), at };
        let owner = match self.find(&email).await? {
            Some(user) => self.account(user).await?.map(|account| (user, account)),
            None => None,
        };
        let (mut secrets, mut right) = (vec![completed], None);
        let (user_id, decision): (_, Box<dyn Decision>) = if let Some((user_id, account)) = owner {
            right = self.second_of(user_id, second).await?;
            let takes_over = !account.is_verified;
            if takes_over {
                secrets.push(Secret::NoPassword { user: user_id });
            }
            (user_id, Box::new(LinkByAddress { user_id, email, name, takes_over, link }))
        } else {
            let user_id = UserId::new(self.bus.ids.next());
            let name = name.or_else(|| email.local_part().to_owned().try_into().ok());
            let name = name.ok_or(IdentityError::AddressNotVouched)?;
            (user_id, Box::new(RegisterByExternalIdentity { user_id, email, name, link }))
        };
        let before = Before { right, decisions: vec![decision], secrets };
        self.start_after(origin, (user_id, client), before).await
    }

    /// What `code` of `user` was, if one is given and there is a second factor.
    async fn second_of(
        &self,
        user: UserId,
        (code, address): (Option<&SecretString>, Option<IpAddr>),
    ) -> Result<Option<RightCode>, IdentityError> {
        let Some(code) = code else { return Ok(None) };
        let Some(account) = self.account(user).await? else { return Ok(None) };
        let Some(email) = account.email.value() else { return Ok(None) };
        let targets = Targets::of(self.bus.digests()?, email, address);
        if targets.wait(self.bus.store().pool()).await? {
            return Err(IdentityError::NotLetIn);
        }
        self.prove_code(user, code, &targets).await
    }

    /// Begins a login at `provider`, for `user` to link if there is one.
    async fn begin_external(
        &self,
        provider: &ProviderName,
        redirect_uri: &str,
        user: Option<UserId>,
    ) -> Result<BegunLogin, IdentityError> {
        let external = self.external.as_ref().ok_or(ProviderError::Unknown)?;
        if !external.port.providers().iter().any(|known| known.name == *provider) {
            return Err(ProviderError::Unknown.into());
        }
        if !external.redirects.allow(redirect_uri) {
            return Err(IdentityError::RedirectNotAllowed);
        }
        let proof = Proof::new(self.randomness.as_ref())?;
        let secrets = proof.secrets(self.bus.digests()?);
        let (state, binding) = proof.into_parts();
        let asked = Authorization {
            redirect_uri,
            state: &state,
            nonce: &secrets.nonce_text(),
            code_challenge: &secrets.challenge(),
        };
        let authorization_url = external.port.begin(provider, asked).await?;
        let expires_at = self.bus.clock.now() + LIFETIME;
        let (provider, redirect_uri) = (provider.clone(), redirect_uri.to_owned());
        let begun = Begun { state: secrets.state, provider, redirect_uri };
        self.keep_begun(&begun, &secrets.binding, user, expires_at).await?;
        let (state, binding) = (state.as_str().into(), binding.as_str().into());
        Ok(BegunLogin { authorization_url, state, binding, expires_at })
    }

    /// What a provider says of who has logged in there, and how that was begun.
    async fn vouched(
        &self,
        asked: CompleteLogin,
        expected: Expected<'_>,
    ) -> Result<(Begun, Vouched), IdentityError> {
        let external = self.external.as_ref().ok_or(ProviderError::Unknown)?;
        let CompleteLogin { state, binding, code, issuer, .. } = asked;
        let secrets = Proof::of(&state, &binding).secrets(self.bus.digests()?);
        let begun = self.begun(&secrets, expected).await?;
        let grant = Grant {
            redirect_uri: &begun.redirect_uri,
            code: &code,
            verifier: &secrets.verifier,
            nonce: &secrets.nonce,
            issuer: issuer.as_deref(),
            now: self.bus.clock.now(),
        };
        match external.port.complete(&begun.provider, grant).await {
            Ok(vouched) => Ok((begun, vouched)),
            Err(error) => {
                self.leave(&begun).await?;
                Err(error.into())
            }
        }
    }

    /// Who comes in by `identity`, if anybody.
    async fn find_external(
        &self,
        identity: &ExternalIdentity,
    ) -> Result<Option<UserId>, IdentityError> {
        self.holder(EXTERNAL, identity.unique_form()).await
    }
}

/// Whether somebody else was faster, so that something else is to be decided.
fn is_overtaken(error: &IdentityError) -> bool {
    matches!(
        error,
        IdentityError::Command(
            CommandError::Append(AppendError::ClaimTaken { .. })
                | CommandError::Rejected(Refusal::Rejected(domain::Rejection::Identity(
                    Rejection::VerifiedMeanwhile(_) | Rejection::OtherAddress(_)
                )))
        )
    )
}
