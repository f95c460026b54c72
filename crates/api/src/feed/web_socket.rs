//! The feed over a WebSocket: one JSON text for each message.

use std::fmt::Display;
use std::ops::ControlFlow;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use eventstore::Position;
use futures_util::SinkExt as _;
use tokio::time::timeout;

use super::follower::{Closing, Follower, Next};
use crate::layers::Origins;
use crate::problem::{Code, Problem};

/// Clients have nothing to say.
const LARGEST_FRAME: usize = 1_024;

/// Beside what is in hand.
const BUFFER: usize = 4 * 1_024;

/// Signs of life that may go unanswered.
const UNANSWERED: u8 = 2;

pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrades = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    upgrades
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

/// Lets in who may connect. Browsers let any page connect to any host, and only say from where.
pub(super) fn admit(
    headers: &HeaderMap,
    origins: &Origins,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    if is_foreign(headers, origins) {
        let detail = "The page that asks is of another origin than this service.";
        return Err(Problem::new(Code::ForeignOrigin, detail));
    }
    upgrade.map_err(|rejection| {
        Problem::new(Code::InvalidHeader, "The WebSocket cannot be opened.")
            .field("Upgrade", rejection.body_text())
    })
}

fn is_foreign(headers: &HeaderMap, origins: &Origins) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    if origins.contains(origin) {
        return false;
    }
    let origin = Uri::try_from(origin.as_bytes()).ok();
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    host.is_none() || origin.as_ref().and_then(Uri::authority) != host.as_ref()
}

pub(super) fn answer(
    upgrade: WebSocketUpgrade,
    follower: Follower,
    snapshot: Option<String>,
) -> Response {
    upgrade
        .max_message_size(LARGEST_FRAME)
        .max_frame_size(LARGEST_FRAME)
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .on_upgrade(async |socket| {
            Box::pin(Line { socket, follower, unanswered: 0 }.run(snapshot)).await;
        })
}

/// One open WebSocket.
struct Line {
    socket: WebSocket,
    follower: Follower,
    /// Signs of life without an answer.
    unanswered: u8,
}

/// Why there is nothing to say any more.
type Ended = Option<CloseFrame>;

impl Line {
    async fn run(mut self, snapshot: Option<String>) {
        let position = self.follower.position();
        let begin = match snapshot {
            Some(snapshot) => frame(position, "snapshot", &snapshot),
            None => frame(position, "heartbeat", "{}"),
        };
        let mut state = self.send([begin]).await;
        while state.is_continue() {
            state = tokio::select! {
                next = self.follower.next() => self.tell(next).await,
                heard = self.socket.recv() => self.hear(heard.as_ref()),
            };
        }
        if let ControlFlow::Break(Some(frame)) = state {
            let stalled = self.follower.stalled();
            let _ = timeout(stalled, self.farewell(frame)).await;
        }
    }

    async fn tell(&mut self, next: Option<Next>) -> ControlFlow<Ended> {
        match next {
            Some(Next::Messages(segment, run)) => {
                let frames = run.map(|index| {
                    let entry = &segment.entries()[index];
                    let message_type = entry.message_type.as_deref().unwrap_or_default();
                    frame(entry.position, message_type, segment.json(index))
                });
                self.send(frames).await
            }
            Some(Next::Heartbeat(position)) => {
                if self.unanswered >= UNANSWERED {
                    let words = format!("resume after {position}");
                    return self.end("unresponsive", close_code::POLICY, words);
                }
                self.unanswered += 1;
                let heartbeat = frame(position, "heartbeat", "{}");
                self.send([heartbeat, Message::Ping(axum::body::Bytes::new())]).await
            }
            Some(Next::Closing(closing)) => ControlFlow::Break(Some(last_words(closing))),
            None => ControlFlow::Break(None),
        }
    }

    fn hear(&mut self, heard: Option<&Result<Message, axum::Error>>) -> ControlFlow<Ended> {
        match heard {
            Some(Ok(Message::Pong(_) | Message::Ping(_))) => {
                self.unanswered = 0;
                ControlFlow::Continue(())
            }
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                self.end("protocol", close_code::UNSUPPORTED, "nothing is taken here".to_owned())
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => ControlFlow::Break(None),
        }
    }

    /// Sends `frames`; the end if they are not taken for too long.
    async fn send(&mut self, frames: impl IntoIterator<Item = Message>) -> ControlFlow<Ended> {
        let stalled = self.follower.stalled();
        for frame in frames {
            match timeout(stalled, self.socket.feed(frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => return ControlFlow::Break(None),
                Err(_elapsed) => return self.stall(),
            }
        }
        match timeout(stalled, self.socket.flush()).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_gone)) => ControlFlow::Break(None),
            Err(_elapsed) => self.stall(),
        }
    }

    /// What is not taken cannot be ended in words.
    fn stall(&mut self) -> ControlFlow<Ended> {
        self.follower.seat().reason = Some("stalled");
        ControlFlow::Break(None)
    }

    fn end(&mut self, why: &'static str, code: u16, words: String) -> ControlFlow<Ended> {
        self.follower.seat().reason = Some(why);
        ControlFlow::Break(Some(CloseFrame { code, reason: words.into() }))
    }

    /// Closes, and waits until the client has, too: otherwise it might not get to read why.
    async fn farewell(&mut self, frame: CloseFrame) {
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

fn last_words(closing: Closing) -> CloseFrame {
    let resume = |position: Position| format!("resume after {position}");
    let (code, reason) = match closing {
        Closing::TooSlow(position) | Closing::Unreadable(position) => {
            (close_code::AGAIN, resume(position))
        }
        Closing::GoingAway(position) => (close_code::AWAY, resume(position)),
        Closing::Rewound => (close_code::ERROR, "the log is another one: begin anew".to_owned()),
    };
    CloseFrame { code, reason: reason.into() }
}

fn frame(id: impl Display, event: &str, data: &str) -> Message {
    format!(r#"{{"id":"{id}","event":"{event}","data":{data}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let origin = origin.map(|origin| (header::ORIGIN, origin.parse().unwrap()));
        [(header::HOST, host.parse().unwrap())].into_iter().chain(origin).collect()
    }

    #[test]
    fn only_pages_of_this_host_are_of_this_origin() {
        for (host, origin) in [
            ("localhost:8080", None),
            ("localhost:8080", Some("http://localhost:8080")),
            ("127.0.0.1", Some("http://127.0.0.1")),
            ("[::1]:80", Some("http://[::1]:80")),
        ] {
            assert!(!is_foreign(&headers(host, origin), &Origins::default()), "{host} {origin:?}");
        }
        for origin in
            ["http://evil.example", "http://localhost", "http://localhost:8081", "null", ""]
        {
            assert!(
                is_foreign(&headers("localhost:8080", Some(origin)), &Origins::default()),
                "{origin:?}"
            );
        }
        let without_host = [(header::ORIGIN, "http://a".parse().unwrap())].into_iter().collect();
        assert!(is_foreign(&without_host, &Origins::default()));
        let shop = Origins::parse(["https://shop.example"]).unwrap();
        assert!(!is_foreign(&headers("localhost", Some("https://shop.example")), &shop));
        assert!(is_foreign(&headers("localhost", Some("https://evil.example")), &shop));
    }
}
