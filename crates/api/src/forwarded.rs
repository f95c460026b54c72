//! Who asks, and over what.

use std::net::IpAddr;

/// Where a request comes from, in the extensions of every request that came over a socket.
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
