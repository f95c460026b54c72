//! A client that knows nothing of HTTP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How long anything may take that has a limit of its own, far below this.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Raw {
    pub(super) stream: TcpStream,
}

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// As [`Self::connect`], but little is taken that is not read: the other side need not work for
    /// long until it notices.
    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self { stream: socket.connect(address).await.unwrap() }
    }

    /// Sends as much as the other side takes; whether that was all.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await;
        sent.expect("the other side takes it or ends").is_ok()
    }

    /// Everything until the other side ends, which it must.
    pub(super) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await;
        // A reset ends it as well.
        let _ = read.expect("the other side ends the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The status of the only answer, before the other side ends; 0 if there is none.
    pub(super) async fn status(&mut self) -> u16 {
        let answer = self.rest().await;
        answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
    }

    /// The first answer's status, headers and body, which must come with a length.
    pub(super) async fn answer(&mut self) -> (u16, String, String) {
        let mut bytes = Vec::new();
        let answer = async {
            loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let head = head.to_lowercase();
                    let length =
                        head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    let length: usize = length.map_or(0, |length| length.parse().unwrap());
                    if body.len() >= length {
                        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                        return (status, head, body.to_owned());
                    }
                }
                let read = self.stream.read_buf(&mut bytes).await.unwrap();
                assert!(read > 0, "ended after {text:?}");
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer")
    }
}

/// `GET path`, and the connection stays.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The head of a `POST` with a body of `length` bytes, under a name that nobody else has.
pub(super) fn post_head(path: &str, length: usize) -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let name = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {name}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}
