//! One struct per concern, with its defaults.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use application::MessageLimit;
use chrono_tz::Tz;
use eventstore::KeyEncryptionKeys;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::masked;

/// The HTTP listener.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to listen; loopback only if anonymous clients may do more than strangers should.
    pub address: SocketAddr,
    /// Most bytes of a body.
    pub body_limit_bytes: usize,
    /// Longest time to an answer.
    pub deadline_ms: u64,
    /// How long a query waits for its read model to have come as far as `Annals-Min-Position` says.
    pub min_position_wait_ms: u64,
    /// How many requests a second one address may sustain; 0 for any number.
    pub requests_per_second: u32,
    /// How many requests one address may send at once.
    pub request_burst: NonZeroU32,
    /// The origins of pages that may ask from a browser, for example `https://shop.example`.
    pub cors_origins: Vec<String>,
    /// What whoever reaches the listener may do without a login: permissions, or `*`.
    pub anonymous: Vec<String>,
    /// Most connections at once; more wait.
    pub max_connections: NonZeroUsize,
    /// Longest time for the head of a request to come, and for the handshake of TLS.
    pub header_timeout_ms: NonZeroU64,
    /// How long a connection may rest between requests.
    pub keep_alive_ms: NonZeroU64,
    /// How long a client may take nothing of what it is sent.
    pub write_timeout_ms: NonZeroU64,
    /// How long a process that is told to stop goes on serving, unready, so that a proxy notices.
    pub drain_delay_ms: u64,
    /// How long requests in flight may take to end after that.
    pub drain_ms: u64,
    /// Networks or addresses of proxies that are believed on whose behalf they ask.
    pub trusted_proxies: Vec<String>,
    /// What those proxies tell it with.
    pub forwarded_header: ForwardedHeader,
    /// PEM file of the certificate and those it was issued by; TLS if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

/// What proxies tell of the client.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    XForwarded,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

impl Http {
    /// How much a request may take.
    ///
    /// # Errors
    /// An origin or a permission is none.
    pub fn limits(&self) -> anyhow::Result<api::Limits> {
        let origins = self.cors_origins.iter().map(String::as_str);
        let anonymous = self.anonymous.iter().map(String::as_str);
        let burst = self.request_burst;
        let rate = NonZeroU32::new(self.requests_per_second);
        Ok(api::Limits {
            body_bytes: self.body_limit_bytes,
            deadline: self.deadline(),
            rate: rate.map(|per_second| api::RateLimit { per_second, burst }),
            origins: api::Origins::parse(origins).context("`http.cors_origins` cannot be used")?,
            anonymous: api::Grants::named(anonymous).context("`http.anonymous` cannot be used")?,
        })
    }

    /// Longest time to an answer.
    pub const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// How long a query waits for its read model, less than a request may take.
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.min_position_wait_ms.min(self.deadline_ms / 2))
    }
}

/// The feed.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Most connections of this process at once.
    pub max_connections: NonZeroUsize,
    /// How long nothing is sent before a sign of life is.
    pub heartbeat_ms: NonZeroU64,
    /// Most bytes of messages that are kept in memory for connections to take.
    pub ring_bytes: usize,
    /// Most messages that are kept.
    pub ring_messages: usize,
    /// How many positions of the log a connection may fall behind before it is closed.
    pub max_behind: NonZeroU64,
    /// How long a WebSocket may take nothing before it is closed.
    pub stalled_ms: NonZeroU64,
}

impl Feed {
    /// How much the feed may take.
    pub fn settings(&self) -> api::feed::Settings {
        let Self { ring_bytes, ring_messages, .. } = *self;
        api::feed::Settings {
            connections: self.max_connections.get(),
            heartbeat: Duration::from_millis(self.heartbeat_ms.get()),
            ring_bytes,
            ring_messages,
            behind: self.max_behind.get(),
            stalled: Duration::from_millis(self.stalled_ms.get()),
        }
    }
}

/// PostgreSQL.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Where it is; `DATABASE_URL` sets it. Absent, only `annals dev` starts.
    #[serde(default, serialize_with = "masked::url")]
    pub url: Option<SecretString>,
    /// Where queries of the API are asked as the role `annals_queries`, if that takes another address.
    #[serde(default, serialize_with = "masked::url", skip_serializing_if = "Option::is_none")]
    pub query_url: Option<SecretString>,
    /// Most connections of this process.
    pub max_connections: u32,
    /// Most connections of this process for queries of the API, besides.
    pub query_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout_ms: u64,
}

/// The message broker.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Where it is; `NATS_URL` sets it. Absent, only `annals dev` starts.
    #[serde(default, serialize_with = "masked::urls")]
    pub url: Option<SecretString>,
    /// First part of every subject; the stream has the same name in capitals.
    pub namespace: String,
    /// Copies of the stream in a cluster.
    pub replicas: NonZeroUsize,
    /// Most bytes of the stream; as many as there is room for if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<NonZeroU64>,
    /// How long the stream keeps a message; for ever if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_hours: Option<NonZeroU32>,
    /// Most bytes of a message with its headers: what the contract promises.
    pub max_message_bytes: NonZeroU32,
}

impl Nats {
    /// Where it is, checked.
    ///
    /// # Errors
    /// It is not set, or cannot be read.
    pub fn broker(&self) -> anyhow::Result<relay::Broker> {
        let Some(url) = &self.url else {
            bail!("no message broker is set: set NATS_URL, or start everything with `annals dev`");
        };
        url.expose_secret().parse().context("`nats.url` cannot be read")
    }

    /// Where and how is published.
    ///
    /// # Errors
    /// As [`Nats::broker`] and [`Nats::namespace`].
    pub fn publisher(&self) -> anyhow::Result<relay::PublisherConfig> {
        let max_age = self.max_age_hours.map(|hours| Duration::from_hours(hours.get().into()));
        let limits = relay::StreamLimits {
            max_bytes: self.max_bytes,
            max_age,
            max_message_bytes: Some(self.max_message_bytes),
        };
        let config = relay::PublisherConfig::new(self.broker()?, self.namespace()?);
        Ok(relay::PublisherConfig { replicas: self.replicas, limits, ..config })
    }

    /// How large a public message may be.
    pub fn message_limit(&self) -> MessageLimit {
        let bytes = usize::try_from(self.max_message_bytes.get()).unwrap_or(usize::MAX);
        MessageLimit::of_message_bytes(bytes)
    }

    /// The namespace, checked.
    ///
    /// # Errors
    /// It cannot be part of a subject.
    pub fn namespace(&self) -> Result<relay::Namespace, relay::InvalidNamespace> {
        self.namespace.parse()
    }
}

/// Keys for personal data.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The key-encryption keys, `ID=BASE64`, several separated by commas, the current one first.
    /// There is no default: absent, nothing personal can be written or read, and only `annals dev`
    /// makes one.
    #[serde(default, serialize_with = "masked::named")]
    pub encryption: Option<SecretString>,
    /// Most keys of subjects that this process keeps in memory.
    pub cached_subjects: NonZeroUsize,
}

impl Keys {
    /// The key-encryption keys, checked; none if none are set.
    ///
    /// # Errors
    /// They have another form.
    pub fn key_encryption_keys(&self) -> anyhow::Result<Option<KeyEncryptionKeys>> {
        let keys = self.encryption.as_ref().map(|keys| keys.expose_secret().parse());
        keys.transpose().context("`keys.encryption` cannot be read")
    }

    /// The key-encryption keys.
    ///
    /// # Errors
    /// As [`Keys::key_encryption_keys`], or none are set.
    pub fn required(&self) -> anyhow::Result<KeyEncryptionKeys> {
        self.key_encryption_keys()?
            .context("no key-encryption keys are set: set ANNALS_KEYS__ENCRYPTION")
    }
}

/// What looks after the tables by itself.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// The place on whose clocks jobs are due, by its name in the IANA database.
    pub time_zone: String,
    /// How long the mark of a message is kept, counted from the last mark of the same day.
    pub inbox_days: NonZeroU16,
    /// How long a command is remembered, and with it an `Idempotency-Key`.
    pub command_days: NonZeroU16,
}

impl Jobs {
    /// The place, checked.
    ///
    /// # Errors
    /// There is no such place.
    pub fn zone(&self) -> anyhow::Result<Tz> {
        let name = &self.time_zone;
        name.parse().map_err(|_| {
            anyhow::anyhow!("`jobs.time_zone` is {name:?}, which is no zone such as Europe/Berlin")
        })
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Levels by target, for example `info,relay=debug`.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: a JSON object a line.
    Json,
}

impl Log {
    /// The filter, checked.
    ///
    /// # Errors
    /// It has another form than `level` or `target=level`, separated by commas.
    pub fn filter(&self) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
        EnvFilter::builder().parse(&self.filter)
    }
}
