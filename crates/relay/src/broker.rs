//! Where NATS is, and one connection to it.
//!
//! A connection is never repaired: when it is lost, whoever used it drops it and everything it
//! believed, and begins again with a new one. The client's own reconnecting would send again what
//! was in its queue, behind the back of those who count what they sent.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectError, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio_util::sync::CancellationToken;

/// How long an answer of the broker is waited for.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// Where NATS is: one address, or several separated by commas. The first that holds
/// `user:password@` or `token@` says who connects.
#[derive(Clone)]
pub struct Broker {
    servers: Vec<ServerAddr>,
}

/// The text is no address of NATS.
#[derive(Debug, thiserror::Error)]
#[error("not an address of NATS, such as nats://127.0.0.1:4222")]
pub struct InvalidBroker {
    /// What is wrong with it, if it is more than empty.
    #[source]
    source: Option<std::io::Error>,
}

/// The broker was asked in vain.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It cannot be reached.
    #[error("no connection to {broker}")]
    Connect {
        /// Where it should be.
        broker: Broker,
        /// Why not.
        #[source]
        source: ConnectError,
    },
    /// It did not answer, or refused.
    #[error("{what}")]
    Asked {
        /// What it was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no such stream.
    #[error("the broker has no stream {name}: run a relay, or `annals relay apply`, which make it")]
    NoStream {
        /// What it is called.
        name: String,
    },
}

impl BrokerError {
    pub(crate) fn asked(
        what: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Asked { what, source: source.into() }
    }
}

/// The stream `name`, if there is one.
pub(crate) async fn find_stream(
    context: &Context,
    name: &str,
) -> Result<Option<Stream>, BrokerError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(api)
                if api.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(BrokerError::asked("look for the stream", error)),
        },
    }
}

impl FromStr for Broker {
    type Err = InvalidBroker;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let servers: Vec<ServerAddr> = text
            .split(',')
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|source| InvalidBroker { source: Some(source) })?;
        if servers.is_empty() { Err(InvalidBroker { source: None }) } else { Ok(Self { servers }) }
    }
}

/// Hosts and ports, without credentials.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", server.host(), server.port())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({self})")
    }
}

/// One connection, used until it is lost.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Cancelled when the connection broke: what was sent and not answered may have arrived or not.
    pub(crate) lost: CancellationToken,
}

impl Broker {
    /// What the first address that names a user says: `user:password@`, or `token@`.
    ///
    /// The client itself takes no notice of it.
    fn credentials(&self) -> ConnectOptions {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let named = self.servers.iter().find_map(|server| Some((server.username()?, server)));
        match named.map(|(user, server)| (plain(user), server.password().map(plain))) {
            None => ConnectOptions::new(),
            Some((user, Some(password))) => ConnectOptions::with_user_and_password(user, password),
            Some((token, None)) => ConnectOptions::with_token(token),
        }
    }

    /// [`Broker::connect`], for somebody who can do nothing about it.
    pub(crate) async fn open(&self, name: &str) -> Result<Connection, BrokerError> {
        let connected = self.connect(name).await;
        connected.map_err(|source| BrokerError::Connect { broker: self.clone(), source })
    }

    /// Connects once; does not retry.
    pub(crate) async fn connect(&self, name: &str) -> Result<Connection, ConnectError> {
        let lost = CancellationToken::new();
        let on_event = lost.clone();
        let client = self
            .credentials()
            .name(name)
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .ping_interval(ANSWER)
            // The client cannot be told not to reconnect at all: each server once is the least.
            .max_reconnects(self.servers.len())
            .event_callback(move |event| {
                let lost = on_event.clone();
                async move {
                    if matches!(event, Event::Disconnected | Event::Closed) {
                        lost.cancel();
                    }
                }
            })
            .connect(self.servers.clone())
            .await?;
        Ok(Connection { client, lost })
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors of others repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_credentials() {
        let broker: Broker = "nats://user:secret@one:4222, two:4333".parse().unwrap();
        assert_eq!(format!("{broker} {broker:?}"), "one:4222,two:4333 Broker(one:4222,two:4333)");
        assert!(" , ".parse::<Broker>().is_err());
    }
}
