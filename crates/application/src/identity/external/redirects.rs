//! Where a provider may send browsers after a login.

use url::{Host, Url};

/// The addresses to which browsers may be sent, each with the code of a login.
#[derive(Debug, Clone, Default)]
pub struct Redirects(Vec<Url>);

/// An address to which nobody should be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address to send browsers to: it is https, or http on this machine, or has a scheme of \
     an application with a dot in it, and no fragment"
)]
pub struct InvalidRedirect(String);

impl Redirects {
    /// These and no others.
    ///
    /// # Errors
    /// To one of them codes must not be sent.
    pub fn new(addresses: &[String]) -> Result<Self, InvalidRedirect> {
        let read = |text: &String| {
            let url = Url::parse(text).ok().filter(|url| url.fragment().is_none() && is_safe(url));
            url.ok_or_else(|| InvalidRedirect(text.clone()))
        };
        addresses.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether browsers may be sent to `address`. One that is allowed on a loopback IP without a port
    /// stands for itself with any port: a native application takes the one that is free (RFC 8252).
    pub(super) fn allow(&self, address: &str) -> bool {
        let Ok(asked) = Url::parse(address) else { return false };
        // What is sent on is the text, so it must be the one that was read.
        if asked.as_str() != address && self.0.iter().all(|known| known.as_str() != address) {
            let is_bare = asked.path() == "/" && asked.as_str().strip_suffix('/') == Some(address);
            if !is_bare {
                return false;
            }
        }
        let mut bare = asked.clone();
        let has_free_port = is_loopback_ip(&asked) && bare.set_port(None).is_ok();
        self.0.iter().any(|known| *known == asked || has_free_port && *known == bare)
    }
}

/// Whether what is sent there reaches who is meant.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback_ip(url) || url.host_str() == Some("localhost"),
        // Schemes that browsers know have no dot; one of an application is a domain, reversed.
        scheme => scheme.contains('.'),
    }
}

fn is_loopback_ip(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => url.scheme() == "http" && ip.is_loopback(),
        Some(Host::Ipv6(ip)) => url.scheme() == "http" && ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(addresses: &[&str]) -> Result<Redirects, InvalidRedirect> {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Redirects::new(&addresses)
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let allowed = redirects(&[
            "https://shop.example/in",
            "https://bare.example",
            "org.example.shop:/in",
            "http://127.0.0.1/in",
            "http://localhost:3000/in",
        ]);
        let allowed = allowed.unwrap();
        for address in [
            "https://shop.example/in",
            "https://bare.example",
            "org.example.shop:/in",
            "http://127.0.0.1/in",
            "http://127.0.0.1:49152/in",
            "http://localhost:3000/in",
        ] {
            assert!(allowed.allow(address), "{address}");
        }
        for address in [
            "https://shop.example/in/",
            "https://shop.example/in?a=b",
            "https://shop.example/in#a",
            "https://shop.example/x/../in",
            "https://SHOP.example/in",
            "https://shop.example:444/in",
            "https://user@shop.example/in",
            "http://shop.example/in",
            "http://127.0.0.1:49152/out",
            "http://[::1]:49152/in",
            "http://localhost:3001/in",
            "/in",
            "",
        ] {
            assert!(!allowed.allow(address), "{address}");
        }
        assert!(!Redirects::default().allow("https://shop.example/in"));
    }

    #[test]
    fn where_codes_would_be_lost_nobody_is_sent() {
        for address in [
            "http://shop.example/in",
            "javascript:alert(1)",
            "data:text/html,a",
            "https://a/#b",
            "in",
        ] {
            assert_eq!(redirects(&[address]).unwrap_err(), InvalidRedirect(address.to_owned()));
        }
    }
}
