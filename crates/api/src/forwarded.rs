//! Who asks, and over what: as the socket says, or as a trusted proxy says.
//!
//! Headers are believed only if the peer of the socket is a trusted proxy. Each proxy adds at the
//! right whom it was asked by, so the list is walked from the right, over trusted proxies, to the
//! first address that is none; what stands left of it was written by whoever asked. A part that
//! cannot be read ends the walk: the client is then the last proxy that could be.
//!
//! Only one of the two ways to forward is read, the one that the proxies are known to use
//! ([`Header`]): a proxy that sets one passes on the other as it came, so reading both, in any
//! order, would believe the client.

mod walk;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

/// Where a request comes from, in the extensions of every request that came over a socket: the
/// peer, or whom a trusted proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// How the client asked, in the extensions of every request that came over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS, here or at a trusted proxy.
    Https,
}

/// What trusted proxies tell of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239), its `for` and `proto`.
    Forwarded,
}

/// Who may say on whose behalf they ask; nobody by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: Header,
}

/// A text that is neither a network nor an address.
#[derive(Debug, PartialEq, Eq)]
pub struct NotANetwork(String);

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither a network such as 10.0.0.0/8 nor an address", self.0)
    }
}

impl std::error::Error for NotANetwork {}

impl TrustedProxies {
    /// Proxies in `networks`, each a CIDR such as `10.0.0.0/8` or a single address, that use
    /// `header`.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn new<'a>(
        networks: impl IntoIterator<Item = &'a str>,
        header: Header,
    ) -> Result<Self, NotANetwork> {
        let networks = networks.into_iter().map(network).collect::<Result<_, _>>()?;
        Ok(Self { networks, header })
    }

    /// Tells the request with `headers` and `extensions` where it comes from: `peer` has sent it,
    /// over `scheme`.
    pub fn tell(
        &self,
        peer: IpAddr,
        scheme: Scheme,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) {
        let (client, scheme) = self.client(peer, scheme, headers);
        extensions.insert(client);
        extensions.insert(scheme);
    }

    /// Who asks, and over what.
    #[must_use]
    pub fn client(
        &self,
        peer: IpAddr,
        scheme: Scheme,
        headers: &HeaderMap,
    ) -> (ClientAddress, Scheme) {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return (ClientAddress(peer), scheme);
        }
        let (address, told) = match self.header {
            Header::XForwarded => walk::x_forwarded(headers, peer, |address| self.trusts(address)),
            Header::Forwarded => walk::forwarded(headers, peer, |address| self.trusts(address)),
        };
        (ClientAddress(address), told.unwrap_or(scheme))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// A network, or an address as the network that holds nothing else.
fn network(text: &str) -> Result<IpNet, NotANetwork> {
    let text = text.trim();
    let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| NotANetwork(text.to_owned()))
}

impl FromStr for Scheme {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.eq_ignore_ascii_case("https") {
            Ok(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Ok(Self::Http)
        } else {
            Err(())
        }
    }
}

#[cfg(test)]
mod tests;
