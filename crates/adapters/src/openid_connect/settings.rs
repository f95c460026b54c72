//! How a provider is reached, and who we are there.

use std::fmt;

use domain::values::ProviderName;
use secrecy::SecretString;
use url::{Host, Url};

/// A provider, as it is configured.
#[derive(Clone)]
pub struct ProviderSettings {
    /// What it is called in addresses and settings.
    pub name: ProviderName,
    /// What people call it.
    pub title: String,
    /// Who it is: the address under which it describes itself, exactly as its tokens say it.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// What proves it; none for a public client, of which PKCE alone tells that it is the same.
    pub client_secret: Option<SecretString>,
    /// What it is asked for, separated by spaces; `openid` is one of it.
    pub scopes: String,
}

impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProvider {
    /// Its issuer is no address, or has parts that the standard forbids.
    #[error(
        "the issuer of {provider} is no address of the form https://host/path, without user, query \
         and fragment"
    )]
    Issuer {
        /// Which.
        provider: ProviderName,
    },
    /// Whoever is on the way could be the provider.
    #[error("the issuer of {provider} has no TLS, and is not on this machine")]
    Plain {
        /// Which.
        provider: ProviderName,
    },
    /// There would be no token.
    #[error("the scopes of {provider} lack `openid`")]
    Scopes {
        /// Which.
        provider: ProviderName,
    },
    /// It would not know who asks.
    #[error("the client id of {provider} is empty")]
    Client {
        /// Which.
        provider: ProviderName,
    },
    /// This machine trusts nobody.
    #[error("no certificate authorities are found that {provider} could be trusted by")]
    Certificates {
        /// Which.
        provider: ProviderName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ProviderSettings {
    /// Refuses what cannot work. Answers with the address of the issuer.
    ///
    /// # Errors
    /// See [`InvalidProvider`].
    pub fn check(&self) -> Result<Url, InvalidProvider> {
        let provider = || self.name.clone();
        let issuer = Url::parse(&self.issuer).ok();
        let issuer = issuer.filter(|url| {
            let is_bare = url.query().is_none() && url.fragment().is_none();
            is_bare && url.username().is_empty() && url.password().is_none() && url.has_host()
        });
        let issuer = issuer.ok_or_else(|| InvalidProvider::Issuer { provider: provider() })?;
        match issuer.scheme() {
            "https" => {}
            "http" if is_loopback(&issuer) => {}
            "http" => return Err(InvalidProvider::Plain { provider: provider() }),
            _ => return Err(InvalidProvider::Issuer { provider: provider() }),
        }
        if !self.scopes.split_ascii_whitespace().any(|scope| scope == "openid") {
            return Err(InvalidProvider::Scopes { provider: provider() });
        }
        if self.client_id.is_empty() {
            return Err(InvalidProvider::Client { provider: provider() });
        }
        Ok(issuer)
    }
}

/// Whether `address` is on this machine, whatever names resolve to.
pub(super) fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str, scopes: &str) -> ProviderSettings {
        ProviderSettings {
            name: "test".to_owned().try_into().unwrap(),
            title: "Test".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "annals".to_owned(),
            client_secret: Some("hush".into()),
            scopes: scopes.to_owned(),
        }
    }

    #[test]
    fn without_tls_a_provider_is_on_this_machine() {
        for taken in ["https://id.example", "https://id.example/realm", "http://127.0.0.1:3000"] {
            assert!(settings(taken, "email openid").check().is_ok(), "{taken}");
        }
        for plain in ["http://id.example", "http://localhost.example", "http://192.0.2.7:3000"] {
            let refused = settings(plain, "openid").check();
            assert!(matches!(refused, Err(InvalidProvider::Plain { .. })), "{plain}");
        }
        for odd in ["id.example", "ftp://id.example", "https://id.example?a=b", "https://a@b.c"] {
            let refused = settings(odd, "openid").check();
            assert!(matches!(refused, Err(InvalidProvider::Issuer { .. })), "{odd}");
        }
        let refused = settings("https://id.example", "email").check();
        assert!(matches!(refused, Err(InvalidProvider::Scopes { .. })));
        assert!(!format!("{:?}", settings("https://id.example", "openid")).contains("hush"));
    }
}
