//! A client of server-sent events that reads exactly as fast as it is asked to.
//!
//! It keeps the last event id as a browser does
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), but never connects again by
//! itself: when, where and from which id is what tests are about.

mod chunks;
mod parser;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use chunks::Chunks;
pub use parser::{EventParser, ServerEvent};

/// An open stream of server-sent events.
#[derive(Debug)]
pub struct EventSource {
    stream: TcpStream,
    buffer: Vec<u8>,
    chunks: Chunks,
    parser: EventParser,
    events: VecDeque<ServerEvent>,
    /// The id of the event that was taken last.
    taken: String,
}

/// The server answers with something else than a stream of events.
#[derive(Debug, thiserror::Error)]
pub enum EventSourceError {
    /// It answers with another status.
    #[error("answered with {status}: {body}")]
    Refused {
        /// The status.
        status: u16,
        /// What else it says, its headers first.
        body: String,
    },
    /// There is no connection, or none any more.
    #[error("the connection")]
    Io(#[from] io::Error),
}

impl EventSource {
    /// Asks for `path` at `address`, as somebody who has seen everything up to `last_event_id`.
    ///
    /// # Errors
    /// See [`EventSourceError`].
    pub async fn open(
        address: SocketAddr,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<Self, EventSourceError> {
        Self::on(TcpSocket::new_v4()?, address, path, last_event_id).await
    }

    /// [`EventSource::open`] with next to no room for what was not taken yet.
    ///
    /// # Errors
    /// See [`EventSourceError`].
    pub async fn open_narrow(
        address: SocketAddr,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<Self, EventSourceError> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4_096)?;
        Self::on(socket, address, path, last_event_id).await
    }

    async fn on(
        socket: TcpSocket,
        address: SocketAddr,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<Self, EventSourceError> {
        let mut stream = socket.connect(address).await?;
        let id = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{id}\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut buffer = Vec::new();
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        };
        let rest = buffer.split_off(end);
        let head = String::from_utf8_lossy(&buffer).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 200 || !head.contains("text/event-stream") {
            return Err(EventSourceError::Refused {
                status,
                body: refusal(head, rest, stream).await,
            });
        }
        let mut parser = EventParser::default();
        if let Some(id) = last_event_id {
            id.clone_into(&mut parser.last_event_id);
        }
        let taken = parser.last_event_id.clone();
        let (chunks, events) = (Chunks::default(), VecDeque::new());
        Ok(Self { stream, buffer: rest, chunks, parser, events, taken })
    }

    /// The next event; `None` when the server has ended the stream in good order.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> io::Result<Option<ServerEvent>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                event.id.clone_into(&mut self.taken);
                return Ok(Some(event));
            }
            if self.chunks.is_complete() {
                return Ok(None);
            }
            if self.buffer.is_empty() && self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let data = self.chunks.take(&std::mem::take(&mut self.buffer));
            self.events.extend(self.parser.push(&data));
        }
    }

    /// What a client that has seen what was taken would send as `Last-Event-ID` now; empty if there
    /// is none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        if self.events.is_empty() { &self.parser.last_event_id } else { &self.taken }
    }

    /// How long the server asks to wait before connecting again.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.parser.retry
    }
}

/// What else the server says.
async fn refusal(head: String, body: Vec<u8>, mut stream: TcpStream) -> String {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let missing = length.unwrap_or(0_usize).saturating_sub(body.len());
    let mut rest = vec![0; missing];
    let _ = stream.read_exact(&mut rest).await;
    format!("{head}{}{}", String::from_utf8_lossy(&body), String::from_utf8_lossy(&rest))
}
