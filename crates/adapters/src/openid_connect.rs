//! `OpenID` Connect: the authorization code flow with PKCE, at providers that describe themselves.
//!
//! What a provider is asked for is found by discovery when it is first needed, and kept for an hour;
//! so a provider that is away stops nobody from starting, and only its own users from coming in.
//! A token is read by [`id_token`] alone: signatures by ring, three algorithms, keys that the issuer
//! publishes. What scopes ask for and the token does not hold is asked of the `UserInfo` endpoint, as the
//! standard has it.
//!
//! Not here: providers whose issuer is a pattern, encrypted tokens, signed answers of `UserInfo`.

mod discovery;
mod http_client;
mod id_token;
mod jwks;
mod settings;
mod token_endpoint;

use std::sync::Arc;
use std::time::Duration;

use application::ports::external_login::{
    Authorization, Distrust, ExternalLogin, Grant, ProviderError, ProviderShown, Vouched,
};
use domain::values::{ExternalIdentity, ProviderName};
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

use discovery::Metadata;
use http_client::{Client, Trouble};
use id_token::{Claims, Expected};
use jwks::Keys;

pub use settings::{InvalidProvider, ProviderSettings};

/// How long it is relied on what a provider says of itself, and on its keys.
const FRESH: Duration = Duration::from_hours(1);

/// How often at most keys are fetched because a token names one that is unknown.
const KEYS_AGAIN: Duration = Duration::from_secs(30);

/// Providers that are asked over HTTP.
pub struct OpenIdConnect {
    providers: Vec<Provider>,
    shown: Vec<ProviderShown>,
    timeout: Duration,
}

/// A provider, and what is known of it.
struct Provider {
    settings: ProviderSettings,
    client: Client,
    metadata: Mutex<Option<Kept<Metadata>>>,
    keys: Mutex<KnownKeys>,
}

/// The keys of a provider.
#[derive(Default)]
struct KnownKeys {
    kept: Option<Kept<Keys>>,
    /// When they were last fetched because a token named one that was unknown.
    again: Option<Instant>,
}

/// What was fetched, and when.
struct Kept<T> {
    it: Arc<T>,
    at: Instant,
}

/// Why something did not work, without the name of the provider.
enum Failure {
    Away(Trouble),
    Refused,
    Distrusted(Distrust),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Away(trouble)
    }
}

impl From<Distrust> for Failure {
    fn from(distrust: Distrust) -> Self {
        Self::Distrusted(distrust)
    }
}

impl OpenIdConnect {
    /// At these providers; none is asked yet. Each login may wait for them as long as `timeout`, once
    /// at its beginning and once at its end.
    ///
    /// # Errors
    /// A provider cannot be reached safely, or the machine has no certificates to trust.
    pub fn new(
        mut providers: Vec<ProviderSettings>,
        timeout: Duration,
    ) -> Result<Self, InvalidProvider> {
        providers.sort_by(|one, other| one.name.cmp(&other.name));
        let shown = providers.iter().map(|settings| {
            let ProviderSettings { name, title, .. } = settings.clone();
            ProviderShown { name, title }
        });
        let shown = shown.collect();
        let providers = providers.into_iter().map(Provider::new).collect::<Result<_, _>>()?;
        Ok(Self { providers, shown, timeout })
    }

    async fn at<T>(
        &self,
        name: &ProviderName,
        work: impl AsyncFnOnce(&Provider) -> Result<T, Failure>,
    ) -> Result<T, ProviderError> {
        let provider = self.providers.iter().find(|known| known.settings.name == *name);
        let provider = provider.ok_or(ProviderError::Unknown)?;
        let worked = match timeout(self.timeout, work(provider)).await {
            Ok(worked) => worked,
            Err(_) => Err(Failure::Away(Trouble::TimedOut(self.timeout))),
        };
        let provider = name.clone();
        worked.map_err(|failure| match failure {
            Failure::Away(trouble) => {
                ProviderError::Unavailable { provider, source: trouble.into() }
            }
            Failure::Refused => ProviderError::Refused { provider },
            Failure::Distrusted(source) => ProviderError::Untrusted { provider, source },
        })
    }
}

impl ExternalLogin for OpenIdConnect {
    fn providers(&self) -> &[ProviderShown] {
        &self.shown
    }

    fn begin<'a>(
        &'a self,
        provider: &'a ProviderName,
        asked: Authorization<'a>,
    ) -> BoxFuture<'a, Result<String, ProviderError>> {
        Box::pin(self.at(provider, async move |provider| provider.begin(asked).await))
    }

    fn complete<'a>(
        &'a self,
        provider: &'a ProviderName,
        grant: Grant<'a>,
    ) -> BoxFuture<'a, Result<Vouched, ProviderError>> {
        Box::pin(self.at(provider, async move |provider| provider.complete(grant).await))
    }
}

impl Provider {
    fn new(settings: ProviderSettings) -> Result<Self, InvalidProvider> {
        let issuer = settings.check()?;
        let client = Client::new(issuer.scheme() == "https");
        let client = client.map_err(|source| {
            let provider = settings.name.clone();
            InvalidProvider::Certificates { provider, source }
        })?;
        Ok(Self { settings, client, metadata: Mutex::default(), keys: Mutex::default() })
    }

    async fn begin(&self, asked: Authorization<'_>) -> Result<String, Failure> {
        let metadata = self.metadata().await?;
        let mut address: Url = metadata.authorization_endpoint.clone();
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", asked.redirect_uri)
            .append_pair("scope", &self.settings.scopes)
            .append_pair("state", asked.state)
            .append_pair("nonce", asked.nonce)
            .append_pair("code_challenge", asked.code_challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(address.into())
    }

    async fn complete(&self, grant: Grant<'_>) -> Result<Vouched, Failure> {
        let metadata = self.metadata().await?;
        let is_mixed = match grant.issuer {
            Some(issuer) => issuer != self.settings.issuer,
            None => metadata.names_itself,
        };
        if is_mixed {
            return Err(Distrust::Mixed.into());
        }
        let tokens =
            token_endpoint::redeem(&self.client, &self.settings, &metadata, &grant).await?;
        let claims = self.verify(&metadata, tokens.id_token.expose_secret(), &grant).await?;
        let profile = match (&metadata.userinfo_endpoint, &tokens.access_token) {
            (Some(endpoint), Some(token)) if claims.profile.email.is_none() => {
                token_endpoint::user_info(&self.client, endpoint, token, &claims.subject).await?
            }
            _ => claims.profile,
        };
        let name = self.settings.name.clone();
        let identity =
            ExternalIdentity::new(name, self.settings.issuer.clone(), claims.subject.clone());
        Ok(Vouched {
            identity: identity.map_err(|_| Distrust::Subject)?,
            email_verified: profile.vouches(),
            name: profile.name(),
            email: profile.email,
        })
    }

    /// What `token` says; keys are fetched once more if it names one that is unknown.
    async fn verify(
        &self,
        metadata: &Metadata,
        token: &str,
        grant: &Grant<'_>,
    ) -> Result<Claims, Failure> {
        let (issuer, client) = (&self.settings.issuer, &self.settings.client_id);
        let expected = Expected { issuer, client, nonce: grant.nonce, now: grant.now };
        let keys = self.keys(metadata).await?;
        let verified = match id_token::verify(token, &keys, &expected) {
            Err(Distrust::UnknownKey) => {
                let keys = self.keys_again(metadata, &keys).await?;
                id_token::verify(token, &keys, &expected)
            }
            verified => verified,
        };
        Ok(verified?)
    }

    /// What the provider says of itself. What was heard before an hour is asked anew, one request at a
    /// time; if there is no answer, it is relied on what was heard.
    async fn metadata(&self) -> Result<Arc<Metadata>, Failure> {
        let mut kept = self.metadata.lock().await;
        if let Some(known) = kept.as_ref().filter(|known| known.at.elapsed() < FRESH) {
            return Ok(Arc::clone(&known.it));
        }
        match (discovery::fetch(&self.client, &self.settings.issuer).await, kept.as_ref()) {
            (Ok(metadata), _) => {
                let it = Arc::new(metadata);
                *kept = Some(Kept { it: Arc::clone(&it), at: Instant::now() });
                Ok(it)
            }
            (Err(Failure::Away(trouble)), Some(known)) => {
                let provider = &self.settings.name;
                tracing::warn!(%provider, error = %trouble, "a provider was not described anew");
                Ok(Arc::clone(&known.it))
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// The keys of the provider, heard of within the hour.
    async fn keys(&self, metadata: &Metadata) -> Result<Arc<Keys>, Failure> {
        let mut known = self.keys.lock().await;
        match known.kept.as_ref().filter(|kept| kept.at.elapsed() < FRESH) {
            Some(kept) => Ok(Arc::clone(&kept.it)),
            None => known.fetch(&self.client, metadata).await,
        }
    }

    /// The keys of the provider, asked for anew unless somebody has done so since `seen` or a moment
    /// ago: whoever sends tokens with made-up keys has the provider asked no more often.
    async fn keys_again(
        &self,
        metadata: &Metadata,
        seen: &Arc<Keys>,
    ) -> Result<Arc<Keys>, Failure> {
        let mut known = self.keys.lock().await;
        let is_newer = |kept: &&Kept<Keys>| !Arc::ptr_eq(&kept.it, seen);
        if let Some(kept) = known.kept.as_ref().filter(is_newer) {
            return Ok(Arc::clone(&kept.it));
        }
        if known.again.is_some_and(|at| at.elapsed() < KEYS_AGAIN) {
            return Ok(Arc::clone(seen));
        }
        known.again = Some(Instant::now());
        known.fetch(&self.client, metadata).await
    }
}

impl KnownKeys {
    async fn fetch(&mut self, client: &Client, metadata: &Metadata) -> Result<Arc<Keys>, Failure> {
        let it = Arc::new(jwks::fetch(client, &metadata.jwks_uri).await?);
        self.kept = Some(Kept { it: Arc::clone(&it), at: Instant::now() });
        Ok(it)
    }
}
