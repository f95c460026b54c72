//! The servers of the broker, each behind a line of its own.

use testkit::{Line, Nats};

/// The servers of the broker.
pub(crate) struct Broker {
    nodes: Vec<Node>,
}

struct Node {
    server: Nats,
    line: Line,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        let server = Nats::start_ephemeral().unwrap();
        let line = Line::to("127.0.0.1", server.port()).await;
        Self { nodes: vec![Node { server, line }] }
    }

    /// How many servers there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where clients find the servers, over the lines.
    pub(crate) fn urls(&self) -> String {
        let urls = self.nodes.iter().map(|node| format!("nats://127.0.0.1:{}", node.line.port()));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Where the servers are, for somebody who must not be disturbed.
    pub(crate) fn direct_urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.server.url()).collect()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.nodes.iter().map(|node| &node.line)
    }

    pub(crate) fn kill9(&mut self, node: usize) {
        self.nodes[node].server.kill9();
    }

    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].server.restart().expect("the server comes back");
    }

    pub(crate) fn pause(&self, node: usize) {
        self.nodes[node].server.pause();
    }

    pub(crate) fn resume(&self, node: usize) {
        self.nodes[node].server.resume();
    }
}
