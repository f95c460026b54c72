//! A private cluster of three nats-servers.
//!
//! Each is a [`Nats`] of its own, which a test may kill, freeze and restart alone. They find each
//! other by routes on loopback ports that are chosen before the first one starts.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Nats, READY_LIMIT, Site};
use crate::error::Error;
use crate::instance::{self, Instance};
use crate::{port, random};

/// How many servers there are: the fewest of which one may be missing.
const NODES: usize = 3;

/// A server's part in a cluster.
#[derive(Debug, Clone)]
pub(super) struct Member {
    cluster: String,
    number: usize,
    name: String,
    /// Where each of them listens for the others.
    routes: [u16; NODES],
}

impl Member {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The part of the configuration that makes it one.
    pub(super) fn config(&self) -> String {
        let others = self.routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\""));
        let others: Vec<_> = others.collect();
        format!(
            "cluster {{\n  name: {}\n  listen: \"127.0.0.1:{}\"\n  routes: [{}]\n}}\n",
            self.cluster,
            self.routes[self.number],
            others.join(", ")
        )
    }
}

/// Three nats-servers of our own in one cluster; they stop when this value is dropped or this
/// process ends.
#[derive(Debug)]
pub struct NatsCluster {
    // Each holds an instance of its own, so that its store goes when it has stopped.
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts three servers with empty stores for one test, and waits until they have a leader.
    ///
    /// Blocks for some seconds.
    ///
    /// # Errors
    /// No nats-server can be found or fetched, or they do not find each other.
    pub fn start_ephemeral() -> Result<Self, Error> {
        let cluster = format!("annals-{}", random::characters(12)?);
        let mut routes = [0; NODES];
        for index in 0..NODES {
            routes[index] = loop {
                let (port, ()) = port::claim(port::Wanted::Preferably(None), |_| Ok(()))?;
                if !routes[..index].contains(&port) {
                    break port;
                }
            };
        }
        let mut nodes = Vec::with_capacity(NODES);
        for number in 0..NODES {
            let name = format!("{cluster}-{number}");
            let member = Member { cluster: cluster.clone(), number, name, routes };
            let instance = Instance::create()?;
            let report = |line: &str| tracing::info!("{line}");
            let site = Site {
                home: &instance.nats(),
                bin: &instance::bin(),
                log: instance.log("nats"),
                report: &report,
            };
            let mut nats = Nats::start_as(&site, Some(member))?;
            nats.instance = Some(instance);
            nodes.push(nats);
        }
        let cluster = Self { nodes };
        cluster.await_leader()?;
        Ok(cluster)
    }

    /// The addresses of all servers, for clients that take the next one when one is lost.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<_> = self.nodes.iter().map(Nats::url).collect();
        urls.join(",")
    }

    /// One of the servers: 0, 1 or 2.
    #[must_use]
    pub fn node(&mut self, number: usize) -> &mut Nats {
        &mut self.nodes[number]
    }

    /// The number of the server that is called so, as the broker tells it.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<usize> {
        let is_it = |node: &Nats| node.member.as_ref().is_some_and(|member| member.name == name);
        self.nodes.iter().position(is_it)
    }

    /// Waits until `JetStream` answers at every server.
    fn await_leader(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_LIMIT;
        for node in &self.nodes {
            while !is_led(node.port) {
                if Instant::now() >= deadline {
                    let (limit, log) = (READY_LIMIT, node.log.clone());
                    let tail = "no leader of JetStream was elected".to_owned();
                    return Err(Error::NotReady { service: "nats-server", limit, log, tail });
                }
                sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Whether the server on `port` knows who leads: then it can say which streams there are.
fn is_led(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(
            b"CONNECT {\"verbose\":false}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.NAMES answer 0\r\n\r\n",
        )?;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            if line.starts_with('{') {
                return Ok(!line.contains("\"error\""));
            }
        }
        Ok(false)
    };
    ask().unwrap_or(false)
}
