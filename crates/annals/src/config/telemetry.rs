//! Where traces go, and of how much.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::masked;

/// Where traces go, and of how much.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// The address of a collector that takes OTLP over HTTP, for example `http://127.0.0.1:4318`.
    /// Absent, there are no traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Headers for the collector, `NAME=VALUE`, several separated by commas: who we are.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked::named")]
    pub otlp_headers: Option<SecretString>,
    /// What the collector knows these processes by.
    pub service_name: String,
    /// Of which share of the requests that come without a decision there is a trace, from 0 to 1.
    pub sample_ratio: f64,
    /// How long the collector may take to answer.
    pub export_timeout_ms: u64,
    /// How long the end of the process may wait for the collector.
    pub flush_ms: u64,
}

/// A collector, as it is reached.
#[derive(Debug)]
pub struct Collector {
    /// Where traces are posted to.
    pub address: Uri,
    /// Sent with them.
    pub headers: HeaderMap,
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl Telemetry {
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            bail!("`telemetry.sample_ratio` is {}: it must be from 0 to 1", self.sample_ratio);
        }
        if self.service_name.trim().is_empty() {
            bail!("`telemetry.service_name` is empty: traces need a name of whose they are");
        }
        if self.export_timeout_ms == 0 {
            bail!("`telemetry.export_timeout_ms` must not be 0");
        }
        self.collector()?;
        Ok(())
    }

    /// The collector, checked; none if none is set.
    ///
    /// # Errors
    /// Its address or its headers cannot be used.
    pub fn collector(&self) -> anyhow::Result<Option<Collector>> {
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(None) };
        let address = address(endpoint).context(
            "`telemetry.otlp_endpoint` cannot be used: it is an address such as http://127.0.0.1:4318",
        )?;
        let headers = self.otlp_headers.as_ref().map(ExposeSecret::expose_secret);
        let headers = headers_of(headers.unwrap_or_default())
            .context("`telemetry.otlp_headers` cannot be used: they are NAME=VALUE,NAME=VALUE")?;
        let timeout = Duration::from_millis(self.export_timeout_ms);
        Ok(Some(Collector { address, headers, timeout }))
    }
}

/// Where traces are posted to at `endpoint`: a path of its own stays, else it is that of OTLP. What
/// may be secret is not repeated.
fn address(endpoint: &str) -> anyhow::Result<Uri> {
    let mut url = Url::parse(endpoint)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("it begins with http:// or https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("it holds a user or a password, which belong into `telemetry.otlp_headers`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("it ends with its path, without `?` and `#`");
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url.as_str().parse()?)
}

fn headers_of(text: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in text.split(',').filter(|header| !header.trim().is_empty()) {
        let (name, value) = header.split_once('=').context("one is without `=`")?;
        let name: HeaderName = name.trim().parse().context("a name cannot be that of a header")?;
        let value = HeaderValue::from_str(value.trim());
        let mut value = value.with_context(|| format!("the value of {name} cannot be sent"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_that_of_otlp() {
        for (given, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example/", "https://otlp.example/v1/traces"),
            ("https://otlp.example/api/otlp/v1/traces", "https://otlp.example/api/otlp/v1/traces"),
        ] {
            assert_eq!(address(given).unwrap(), expected);
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_its_secrets() {
        for wrong in [
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://user:secret@127.0.0.1",
            "http://127.0.0.1/?key=secret",
            "http://",
            "",
        ] {
            let error = format!("{:#}", address(wrong).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn headers_are_read_and_their_values_are_not_shown() {
        let headers = headers_of("authorization=Bearer secret==, x-team=blue").unwrap();
        assert_eq!(headers["authorization"], "Bearer secret==");
        assert_eq!(headers["x-team"], "blue");
        assert!(!format!("{headers:?}").contains("secret"));
        for wrong in ["secret", "a b=secret", "x=secret\nmore"] {
            let error = format!("{:#}", headers_of(wrong).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(headers_of("").unwrap().is_empty());
    }
}
