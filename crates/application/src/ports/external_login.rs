//! Providers of identities: who somebody is elsewhere.
//!
//! What passes here is secret (codes, verifiers) or personal (addresses, names); neither `Debug` nor an
//! error shows any of it, and no error holds a word that a provider said.

use std::error::Error;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::values::{ExternalIdentity, ProviderName};
use futures_util::future::BoxFuture;
use secrecy::SecretString;

/// By how much the clock of a provider may differ.
pub const PROVIDER_LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// Lets providers say who somebody is, by the authorization code flow of `OpenID` Connect.
pub trait ExternalLogin: Send + Sync {
    /// Which providers there are, in the order of their names.
    fn providers(&self) -> &[ProviderShown];

    /// The address of the page of `provider` on which somebody logs in.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`], [`ProviderError::Unavailable`], [`ProviderError::Untrusted`].
    fn begin<'a>(
        &'a self,
        provider: &'a ProviderName,
        asked: Authorization<'a>,
    ) -> BoxFuture<'a, Result<String, ProviderError>>;

    /// Who has logged in there, for the code that `provider` gave the client.
    ///
    /// # Errors
    /// See [`ProviderError`]. After [`ProviderError::Unavailable`] the same code may still be good.
    fn complete<'a>(
        &'a self,
        provider: &'a ProviderName,
        grant: Grant<'a>,
    ) -> BoxFuture<'a, Result<Vouched, ProviderError>>;
}

/// A provider as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderShown {
    /// What it is called in addresses and settings.
    pub name: ProviderName,
    /// What people call it.
    pub title: String,
}

/// What a login at a provider is begun with.
#[derive(Debug, Clone, Copy)]
pub struct Authorization<'a> {
    /// Where the provider sends the browser afterwards.
    pub redirect_uri: &'a str,
    /// Comes back with the browser.
    pub state: &'a str,
    /// Comes back in the token.
    pub nonce: &'a str,
    /// The SHA-256 of the verifier, in base64url (RFC 7636).
    pub code_challenge: &'a str,
}

/// What a login at a provider is completed with.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// As it was begun with.
    pub redirect_uri: &'a str,
    /// What the provider gave the client.
    pub code: &'a SecretString,
    /// What the challenge was made of.
    pub verifier: &'a SecretString,
    /// What the token must hold.
    pub nonce: &'a SecretString,
    /// Who says to have given the code, if the client was told (RFC 9207).
    pub issuer: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What a provider says of somebody who has logged in there.
#[derive(Clone)]
pub struct Vouched {
    /// Who it is.
    pub identity: ExternalIdentity,
    /// The address, if it is told.
    pub email: Option<String>,
    /// Whether the provider vouches for the address.
    pub email_verified: bool,
    /// What people call the user.
    pub name: Option<String>,
}

impl fmt::Debug for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vouched").finish_non_exhaustive()
    }
}

/// Why it is not known who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is no provider of that name.
    #[error("there is no such provider")]
    Unknown,
    /// It cannot be reached, or says that it cannot answer now.
    #[error("provider {provider} does not answer")]
    Unavailable {
        /// Which.
        provider: ProviderName,
        /// What went wrong on the way.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The code was never given out, has been used, is over, or belongs to another login.
    #[error("provider {provider} does not take the code")]
    Refused {
        /// Which.
        provider: ProviderName,
    },
    /// It answers what must not be trusted.
    #[error("what provider {provider} answers cannot be trusted")]
    Untrusted {
        /// Which.
        provider: ProviderName,
        /// Why not.
        #[source]
        source: Distrust,
    },
}

/// Why what a provider answers is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It does not describe itself as `OpenID` Connect Discovery says, or as another issuer.
    #[error("its description is not one of this issuer")]
    Description,
    /// It refuses what it should take: the settings of this client there are other ones.
    #[error("it does not know this client, or not with these settings")]
    Client,
    /// Its answer has not the form that it should have.
    #[error("its answer has another form")]
    Form,
    /// Who gave the code is another, or is not told although this provider always tells.
    #[error("the code is of another issuer")]
    Mixed,
    /// The token cannot be read, or is too long.
    #[error("the token cannot be read")]
    Malformed,
    /// The token is signed with an algorithm that is not taken, or not at all.
    #[error("the algorithm of the token is not taken")]
    Algorithm,
    /// The token is signed under a key that the issuer does not publish.
    #[error("the key of the token is unknown")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// The token is of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// The token is for another client.
    #[error("the token is for another client")]
    Audience,
    /// The token is over.
    #[error("the token is over")]
    Expired,
    /// The token is from the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// The token belongs to another login.
    #[error("the token is of another login")]
    Nonce,
    /// The token names nobody.
    #[error("the token names nobody")]
    Subject,
}
