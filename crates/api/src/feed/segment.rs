//! Messages of one page of the log, written once for everybody.

use std::ops::Range;

use bytes::Bytes;
use eventstore::{Page, Position, StreamId};

use super::filter::Filter;
use super::{Message, Render};

/// What an entry takes beside its text.
const ENTRY_BYTES: usize = size_of::<Entry>() + 96;

/// Messages in order, as the text of server-sent events, of which every run is one slice.
#[derive(Debug)]
pub(super) struct Segment {
    text: Bytes,
    entries: Box<[Entry]>,
    /// Nothing else is up to here.
    pub(super) reached: Position,
}

/// A message of a segment, or an event of which nobody knows what the public is told.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) subject: StreamId,
    /// `None` of what cannot be read.
    pub(super) message_type: Option<Box<str>>,
    /// Where its JSON begins in the text.
    json: usize,
    /// Where its text ends, and that of the next one begins.
    end: usize,
}

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Messages that follow one another.
    Messages(Range<usize>),
    /// What cannot be read.
    Unreadable(Position),
}

impl Segment {
    /// What the public is told of `page`.
    pub(super) fn of(page: &Page, render: &Render) -> Self {
        let mut text = String::new();
        let mut entries = Vec::new();
        for event in &page.events {
            let (message_type, json) = match render(event) {
                Ok(None) => continue,
                Ok(Some(Message { message_type, json })) => {
                    text.extend(["id: ", &event.position.to_string(), "\nevent: ", &message_type]);
                    text.push_str("\ndata: ");
                    let begin = text.len();
                    push_line(&mut text, &json);
                    text.push_str("\n\n");
                    (Some(message_type.into_boxed_str()), begin)
                }
                Err(_) => (None, text.len()),
            };
            let (position, subject, end) = (event.position, event.stream.clone(), text.len());
            entries.push(Entry { position, subject, message_type, json, end });
        }
        text.shrink_to_fit();
        Self { text: text.into(), entries: entries.into(), reached: page.reached }
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.entries.len() * ENTRY_BYTES
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The position of its last entry.
    pub(super) fn last(&self) -> Option<Position> {
        self.entries.last().map(|entry| entry.position)
    }

    /// What comes next after `after` that passes `filter`.
    pub(super) fn run(&self, after: Position, filter: &Filter) -> Option<Run> {
        let begin = self.entries.partition_point(|entry| entry.position <= after);
        let begin = begin + self.entries[begin..].iter().position(|entry| filter.passes(entry))?;
        let rest = &self.entries[begin..];
        let is_told = |entry: &&Entry| entry.message_type.is_some() && filter.passes(entry);
        match rest.iter().take_while(is_told).count() {
            0 => Some(Run::Unreadable(rest[0].position)),
            count => Some(Run::Messages(begin..begin + count)),
        }
    }

    /// The messages of `run` as server-sent events.
    pub(super) fn text(&self, run: &Range<usize>) -> Bytes {
        let end = run.end.checked_sub(1).map_or(0, |last| self.entries[last].end);
        self.text.slice(self.begin(run.start)..end)
    }

    /// The JSON of the message `index`.
    pub(super) fn json(&self, index: usize) -> &str {
        let Entry { json, end, .. } = self.entries[index];
        // Made of texts, and cut where they were put together.
        std::str::from_utf8(&self.text[json..end.saturating_sub(2).max(json)]).unwrap_or_default()
    }

    fn begin(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.entries[before].end)
    }
}

/// Writes `json` on one line. A line break in JSON is white space: within a text it is escaped.
fn push_line(text: &mut String, json: &str) {
    text.extend(json.split(['\n', '\r']).enumerate().flat_map(|(index, part)| {
        let gap = if index == 0 { "" } else { " " };
        [gap, part]
    }));
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use eventstore::{CommandId, EventId, EventType, LogId, Metadata, RecordedEvent};
    use uuid::Uuid;

    use super::*;

    /// An event of the stream `stream`.
    fn event(position: i64, name: &str, stream: &str) -> RecordedEvent {
        let recorded_at = DateTime::from_timestamp_millis(0).unwrap();
        let position = Position::new(position);
        RecordedEvent {
            position,
            recorded_at,
            id: EventId::of(LogId::new(Uuid::nil()), position, recorded_at),
            command_id: CommandId::new(Uuid::nil()),
            metadata: Metadata {
                actor: String::new(),
                tenant: None,
                correlation_id: Uuid::nil(),
                causation_id: None,
                trace: None,
            },
            stream: StreamId::new(stream).unwrap(),
            version: eventstore::StreamVersion::new(1),
            event_type: EventType::new(name, 1),
            tags: Vec::new(),
            payload: "{}".to_owned(),
        }
    }

    /// Tells of every event but secrets, and cannot read riddles.
    fn render() -> Render {
        Arc::new(|event| match event.event_type.name.as_ref() {
            "a.secret" => Ok(None),
            "a.riddle" => Err("cannot be read".into()),
            name => {
                let json = format!("{{\"at\":\r\n\"{}\"}}", event.position);
                Ok(Some(Message { message_type: name.to_owned(), json }))
            }
        })
    }

    /// The segment of events after `after`, by name and stream.
    pub(in crate::feed) fn segment(after: i64, events: &[(&str, &str)]) -> Segment {
        let events = (after + 1..).zip(events);
        let events: Vec<_> =
            events.map(|(position, (name, stream))| event(position, name, stream)).collect();
        let reached = events.last().map_or(Position::new(after), |event| event.position);
        Segment::of(&Page { events, reached }, &render())
    }

    #[test]
    fn runs_are_slices_of_one_text() {
        let segment = segment(
            10,
            &[("a.x", "s-1"), ("a.secret", "s-1"), ("a.x", "s-2"), ("a.y", "s-1"), ("a.x", "s-1")],
        );
        let all = Filter::default();
        assert_eq!(segment.run(Position::new(0), &all), Some(Run::Messages(0..4)));
        assert_eq!(segment.run(Position::new(11), &all), Some(Run::Messages(1..4)));
        assert_eq!(segment.run(Position::new(12), &all), Some(Run::Messages(1..4)));
        assert_eq!(segment.run(Position::new(15), &all), None);
        assert_eq!(segment.reached, Position::new(15));
        let text = "id: 13\nevent: a.x\ndata: {\"at\":  \"13\"}\n\nid: 14\nevent: a.y\ndata: {\"at\":  \"14\"}\n\n";
        assert_eq!(segment.text(&(1..3)), text);
        assert_eq!(segment.json(2), "{\"at\":  \"14\"}");
        let one = Filter::new(None, Some(vec![StreamId::new("s-1").unwrap()]));
        assert_eq!(segment.run(Position::new(10), &one), Some(Run::Messages(0..1)));
        assert_eq!(segment.run(Position::new(11), &one), Some(Run::Messages(2..4)));
        let x = Filter::new(Some(vec!["a.x".to_owned()]), None);
        assert_eq!(segment.run(Position::new(11), &x), Some(Run::Messages(1..2)));
        assert_eq!(segment.run(Position::new(13), &x), Some(Run::Messages(3..4)));
    }

    #[test]
    fn what_cannot_be_read_is_no_secret() {
        let segment = segment(0, &[("a.x", "s-1"), ("a.riddle", "s-2"), ("a.x", "s-1")]);
        let x = Filter::new(Some(vec!["a.x".to_owned()]), None);
        for filter in [Filter::default(), x] {
            assert_eq!(segment.run(Position::new(0), &filter), Some(Run::Messages(0..1)));
            let unreadable = Run::Unreadable(Position::new(2));
            assert_eq!(segment.run(Position::new(1), &filter), Some(unreadable));
        }
        let other = Filter::new(None, Some(vec![StreamId::new("s-1").unwrap()]));
        assert_eq!(segment.run(Position::new(1), &other), Some(Run::Messages(2..3)));
    }
}
