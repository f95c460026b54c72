//! A part of a shared nats-server for one test alone.
//!
//! Annals derives the names of its stream and its subjects from a namespace, so tests with
//! different namespaces do not see each other's messages.

use crate::shared::nats_url;
use crate::{Nats, NatsCluster, random};

/// A nats-server, and a namespace on it that no other test uses.
#[derive(Clone, Debug)]
pub struct TestBroker {
    /// Where the server listens.
    pub url: String,
    /// `t` and twelve lowercase letters and digits. Annals names its stream by it in upper
    /// case and its subjects `<namespace>.>`.
    pub namespace: String,
}

impl TestBroker {
    /// A namespace on the server shared by this process's tests: [`nats_url`].
    ///
    /// # Panics
    /// No server can be started; the message says what to do.
    #[must_use]
    pub fn shared() -> Self {
        Self::at(nats_url().to_owned())
    }

    /// A namespace on a server of the test's own.
    #[must_use]
    pub fn on(nats: &Nats) -> Self {
        Self::at(nats.url())
    }

    /// A namespace on a cluster of the test's own.
    #[must_use]
    pub fn on_cluster(cluster: &NatsCluster) -> Self {
        Self::at(cluster.url())
    }

    fn at(url: String) -> Self {
        let unique = random::characters(12).expect("the system has random bytes");
        Self { url, namespace: format!("t{unique}") }
    }
}
