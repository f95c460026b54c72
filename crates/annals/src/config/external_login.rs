//! Providers at which people log in.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use adapters::{OpenIdConnect, ProviderSettings};
use anyhow::{Context as _, bail};
use application::identity::{ExternalLogins, Redirects};
use domain::values::ProviderName;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::masked;

/// What is asked for unless a provider says otherwise.
const SCOPES: &str = "openid email profile";

/// Providers at which people log in.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalLogin {
    /// Where browsers may be sent after a login.
    pub redirect_uris: Vec<String>,
    /// How long a request waits for a provider.
    pub timeout_ms: NonZeroU64,
    /// Each provider, by what it is called in addresses.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
}

/// A provider at which people log in.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What people call it; its name if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The address under which it describes itself, exactly as it says it.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// What proves it; a public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked::whole")]
    pub client_secret: Option<SecretString>,
    /// What is asked for, separated by spaces; `openid email profile` if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<String>,
}

impl ExternalLogin {
    /// Where people come in from elsewhere; nothing if there is no provider. None of them is asked.
    ///
    /// # Errors
    /// One sentence that says which setting is wrong and why.
    pub fn logins(&self) -> anyhow::Result<Option<ExternalLogins>> {
        if self.providers.is_empty() {
            return Ok(None);
        }
        let timeout = Duration::from_millis(self.timeout_ms.get());
        let port = OpenIdConnect::new(self.settings()?, timeout);
        let port = Arc::new(port.context("`external_login.providers` cannot be used")?);
        Ok(Some(ExternalLogins { port, redirects: self.redirects()? }))
    }

    pub(super) fn validate(&self) -> anyhow::Result<()> {
        for settings in self.settings()? {
            settings.check().context("`external_login.providers` cannot be used")?;
        }
        if self.redirects()?.is_empty() && !self.providers.is_empty() {
            bail!(
                "`external_login.redirect_uris` is empty: browsers come back to one of them after a \
                 login"
            );
        }
        Ok(())
    }

    fn redirects(&self) -> anyhow::Result<Redirects> {
        Redirects::new(&self.redirect_uris).context("`external_login.redirect_uris` cannot be used")
    }

    fn settings(&self) -> anyhow::Result<Vec<ProviderSettings>> {
        let settings = self.providers.iter().map(|(name, provider)| {
            let known = ProviderName::try_from(name.clone());
            let known = known
                .with_context(|| format!("`external_login.providers.{name}` cannot be used"))?;
            Ok(ProviderSettings {
                name: known,
                title: provider.title.clone().unwrap_or_else(|| name.clone()),
                issuer: provider.issuer.clone(),
                client_id: provider.client_id.clone(),
                client_secret: provider.client_secret.clone(),
                scopes: provider.scopes.clone().unwrap_or_else(|| SCOPES.to_owned()),
            })
        });
        settings.collect()
    }
}
