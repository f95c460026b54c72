//! A private nats-server: started, killed, frozen, restarted.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use testkit::{Nats, TestBroker};

use crate::support::{LIMIT, is_alive};

/// A client of the few lines of the protocol that these tests need.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(url: &str) -> Self {
        let address = url.strip_prefix("nats://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut client = Self { stream: BufReader::new(stream) };
        assert!(client.line().starts_with("INFO "));
        client.send("CONNECT {\"verbose\":false}\r\nSUB inbox 1\r\n");
        client
    }

    /// Sends a request with `inbox` as reply subject; answers the JSON that comes there.
    fn request(&mut self, subject: &str, body: &str) -> String {
        self.send(&format!("PUB {subject} inbox {}\r\n{body}\r\n", body.len()));
        loop {
            let line = self.line();
            if line.starts_with("MSG inbox") {
                return self.line();
            }
        }
    }

    fn ping(&mut self) -> bool {
        self.send("PING\r\n");
        let mut line = String::new();
        matches!(self.stream.read_line(&mut line), Ok(count) if count > 0) && line == "PONG\r\n"
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn keeps_port_and_streams_over_stop_and_kill() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let url = nats.url();
    let mut client = Client::connect(&url);
    let stream = r#"{"name":"KEPT","subjects":["kept.>"],"storage":"file"}"#;
    let made = client.request("$JS.API.STREAM.CREATE.KEPT", stream);
    assert!(made.contains(r#""name":"KEPT""#), "{made}");
    let ack = client.request("kept.one", "1");
    assert!(ack.contains(r#""seq":1"#), "{ack}");

    nats.restart().unwrap();
    assert_eq!(nats.url(), url);
    let ack = Client::connect(&url).request("kept.two", "2");
    assert!(ack.contains(r#""seq":2"#), "{ack}");

    let killed = nats.pid();
    nats.kill9();
    assert!(!is_alive(killed));
    nats.restart().unwrap();
    let ack = Client::connect(&url).request("kept.three", "3");
    assert!(ack.contains(r#""seq":3"#), "{ack}");

    let pid = nats.pid();
    nats.stop().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn answers_nothing_while_paused_and_goes_on_when_resumed() {
    let nats = Nats::start_ephemeral().unwrap();
    let mut client = Client::connect(&nats.url());
    assert!(client.ping());
    nats.pause();
    client.stream.get_mut().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(!client.ping(), "a paused server answered");
    nats.resume();
    client.stream.get_mut().set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(client.line(), "PONG\r\n");
}

#[test]
fn each_test_has_a_namespace_of_its_own_on_the_shared_server() {
    let (one, other) = (TestBroker::shared(), TestBroker::shared());
    assert_eq!(one.url, other.url);
    assert_ne!(one.namespace, other.namespace);
    assert!(one.namespace.starts_with('t') && one.namespace.len() == 13, "{one:?}");
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    assert!(one.namespace.chars().all(is_plain), "{one:?}");
    assert!(Client::connect(&one.url).ping());
}
