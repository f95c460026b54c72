//! The servers of the broker, each behind a line of its own.

use testkit::{Line, Nats, NatsCluster};

/// The servers of the broker.
pub(crate) struct Broker {
    servers: Servers,
    /// To each of them.
    lines: Vec<Line>,
    /// Where each of them is, for somebody who must not be disturbed.
    direct_urls: Vec<String>,
}

enum Servers {
    One(Box<Nats>),
    Three(NatsCluster),
}

impl Broker {
    /// One server, or a cluster of three.
    pub(crate) async fn start(is_cluster: bool) -> Self {
        let servers = if is_cluster {
            Servers::Three(NatsCluster::start_ephemeral().unwrap())
        } else {
            Servers::One(Box::new(Nats::start_ephemeral().unwrap()))
        };
        let nodes = if is_cluster { 3 } else { 1 };
        let mut broker = Self { servers, lines: Vec::new(), direct_urls: Vec::new() };
        for node in 0..nodes {
            let server = broker.node(node);
            let (port, url) = (server.port(), server.url());
            broker.lines.push(Line::to("127.0.0.1", port).await);
            broker.direct_urls.push(url);
        }
        broker
    }

    /// How many servers there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Where clients find the servers, over the lines.
    pub(crate) fn urls(&self) -> String {
        let urls = self.lines.iter().map(|line| format!("nats://127.0.0.1:{}", line.port()));
        urls.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn direct_urls(&self) -> &[String] {
        &self.direct_urls
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn node(&mut self, number: usize) -> &mut Nats {
        match &mut self.servers {
            Servers::One(nats) => nats,
            Servers::Three(cluster) => cluster.node(number),
        }
    }

    /// The number of the server that is called so.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        match &self.servers {
            Servers::One(_) => Some(0),
            Servers::Three(cluster) => cluster.number(name),
        }
    }
}
