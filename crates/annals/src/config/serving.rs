//! What the listener is told: who may connect, how long they may take, and how it stops.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::forwarded::{Header, TrustedProxies};
use api::serve::{DrainTimes, Limits, Tls};

use super::Http;
use super::sections::ForwardedHeader;

impl Http {
    /// What connections may cost.
    pub fn connections(&self) -> Limits {
        let time = |ms: NonZeroU64| Duration::from_millis(ms.get());
        Limits {
            connections: self.max_connections.get(),
            header_timeout: time(self.header_timeout_ms),
            keep_alive: time(self.keep_alive_ms),
            write_timeout: time(self.write_timeout_ms),
        }
    }

    /// How the listener stops. Only where the API is served does a proxy have to notice.
    pub fn drain_times(&self, serves_api: bool) -> DrainTimes {
        let delay_ms = if serves_api { self.drain_delay_ms } else { 0 };
        let limit = Duration::from_millis(self.drain_ms);
        DrainTimes { delay: Duration::from_millis(delay_ms), limit }
    }

    /// Who may say on whose behalf they ask.
    ///
    /// # Errors
    /// One of them is neither a network nor an address.
    pub fn proxies(&self) -> anyhow::Result<TrustedProxies> {
        let header = match self.forwarded_header {
            ForwardedHeader::XForwarded => Header::XForwarded,
            ForwardedHeader::Forwarded => Header::Forwarded,
        };
        TrustedProxies::new(self.trusted_proxies.iter().map(String::as_str), header)
            .context("`http.trusted_proxies` cannot be read")
    }

    /// The certificate, if there is to be TLS.
    ///
    /// # Errors
    /// It is half set, or cannot be read or used.
    pub fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else {
            return Ok(None);
        };
        let tls = Tls::from_files(certificate.clone(), key.clone());
        tls.map(Some).context("`http.tls_certificate` and `http.tls_key` cannot be used")
    }

    /// Where to find it from this machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls_certificate.is_some() { "https" } else { "http" };
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(all) if all.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(all) if all.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        format!("{scheme}://{address}")
    }

    /// Refuses what does not fit together. The files of TLS are read when it is needed.
    pub(super) fn check_serving(&self) -> anyhow::Result<()> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => bail!("`http.tls_certificate` is set, but `http.tls_key` is not"),
            (None, Some(_)) => bail!("`http.tls_key` is set, but `http.tls_certificate` is not"),
            _ => {}
        }
        self.proxies().map(drop)
    }
}
