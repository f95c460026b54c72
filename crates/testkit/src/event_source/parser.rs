//! The text of server-sent events, read as the specification says.

use std::time::Duration;

/// An event that was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// The last event id when it was dispatched.
    pub id: String,
    /// Its type; `message` if it says none.
    pub event: String,
    /// Its data.
    pub data: String,
}

/// Reads the text of an event stream, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct EventParser {
    /// What a client would send as `Last-Event-ID` now.
    pub last_event_id: String,
    /// How long the server asks to wait before connecting again.
    pub retry: Option<Duration>,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed behind it belongs to it.
    is_behind_return: bool,
    is_behind_begin: bool,
    id: Option<String>,
    event: String,
    data: String,
}

impl EventParser {
    /// The events that are complete with `bytes`, which follow those of the last call.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            let is_behind_return = std::mem::replace(&mut self.is_behind_return, byte == b'\r');
            match byte {
                b'\n' if is_behind_return => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8_lossy(&line);
                    let begin = !std::mem::replace(&mut self.is_behind_begin, true);
                    let line = if begin { line.trim_start_matches('\u{feff}') } else { &line };
                    events.extend(self.line(line));
                }
                byte => self.line.push(byte),
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<ServerEvent> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => self.data.extend([value, "\n"]),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            _ => {} // A comment, or what a later specification means.
        }
        None
    }

    fn dispatch(&mut self) -> Option<ServerEvent> {
        // The id is kept for the events to come, whether this is one or not.
        if let Some(id) = &self.id {
            id.clone_into(&mut self.last_event_id);
        }
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(ServerEvent { id: self.last_event_id.clone(), event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_specification_shows_wherever_it_is_cut() {
        let text = "\u{feff}: a comment\nretry: 2000\n\nid: 1\r\nevent: add\r\ndata: first\r\ndata: second\r\n\r\nid: 7\n\ndata:third\r\rid\ndata\n\nevent: nothing\n\nretry: soon\ndata: ☃ \nid: cut";
        for cut in 0..=text.len() {
            let mut parser = EventParser::default();
            let mut events = parser.push(&text.as_bytes()[..cut]);
            events.extend(parser.push(&text.as_bytes()[cut..]));
            let event = |id: &str, event: &str, data: &str| ServerEvent {
                id: id.to_owned(),
                event: event.to_owned(),
                data: data.to_owned(),
            };
            let expected = [
                event("1", "add", "first\nsecond"),
                event("7", "message", "third"),
                event("", "message", ""),
            ];
            assert_eq!(events, expected, "cut at {cut}");
            assert_eq!(parser.last_event_id, "", "what is not complete does not count");
            assert_eq!(parser.retry, Some(Duration::from_secs(2)));
        }
    }
}
