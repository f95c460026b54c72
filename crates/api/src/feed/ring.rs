//! The last messages of the log, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use eventstore::Position;

use super::segment::Segment;

/// Every message between two positions, until that is too much: then the oldest ones go.
#[derive(Debug)]
pub(super) struct Ring {
    segments: VecDeque<Arc<Segment>>,
    bytes: usize,
    messages: usize,
    most_bytes: usize,
    most_messages: usize,
    /// What is up to here was let go of.
    begins: Position,
    /// Everything was looked at up to here.
    reached: Position,
}

/// What a ring holds behind a position.
#[derive(Debug)]
pub(super) enum Look {
    /// The next messages.
    Segment(Arc<Segment>),
    /// No message up to here, and nothing more yet.
    Nothing(Position),
    /// It begins later: what is between must be read from the log.
    Earlier,
}

impl Ring {
    /// An empty one that goes on after `position`.
    pub(super) fn new(position: Position, most_bytes: usize, most_messages: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            bytes: 0,
            messages: 0,
            most_bytes,
            most_messages,
            begins: position,
            reached: position,
        }
    }

    /// Takes what follows.
    pub(super) fn push(&mut self, segment: Segment) {
        self.reached = segment.reached;
        if segment.entries().is_empty() {
            return;
        }
        self.bytes += segment.bytes();
        self.messages += segment.entries().len();
        self.segments.push_back(Arc::new(segment));
        while (self.bytes > self.most_bytes || self.messages > self.most_messages)
            && let Some(oldest) = self.segments.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.messages -= oldest.entries().len();
            self.begins = oldest.reached;
        }
    }

    /// What it holds behind `after`.
    pub(super) fn look(&self, after: Position) -> Look {
        if after < self.begins {
            return Look::Earlier;
        }
        let next = self.segments.partition_point(|segment| segment.last() <= Some(after));
        match self.segments.get(next) {
            Some(segment) => Look::Segment(Arc::clone(segment)),
            None => Look::Nothing(self.reached),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::Filter;
    use super::super::segment::Run;
    use super::super::segment::tests::segment;
    use super::*;

    /// What a reader finds from `after` to the end; `None` if it must look in the log.
    fn told(ring: &Ring, after: i64) -> Option<Vec<i64>> {
        let (mut position, mut told) = (Position::new(after), Vec::new());
        loop {
            let segment = match ring.look(position) {
                Look::Earlier => return None,
                Look::Nothing(reached) => {
                    assert_eq!(reached, ring.reached);
                    return Some(told);
                }
                Look::Segment(segment) => segment,
            };
            while let Some(Run::Messages(run)) = segment.run(position, &Filter::default()) {
                told.extend(segment.entries()[run].iter().map(|entry| entry.position.get()));
                position = Position::new(told.last().copied().unwrap());
            }
            position = segment.reached;
        }
    }

    #[test]
    fn it_holds_everything_behind_where_it_begins_and_nothing_else() {
        let mut ring = Ring::new(Position::new(5), usize::MAX, 4);
        assert_eq!(told(&ring, 5), Some(vec![]));
        assert_eq!(told(&ring, 9), Some(vec![]), "a connection may be ahead of it");
        assert_eq!(told(&ring, 4), None);
        ring.push(segment(5, &[("a.x", "s-1"), ("a.secret", "s-1")]));
        ring.push(segment(7, &[("a.secret", "s-1")]));
        ring.push(segment(8, &[("a.x", "s-1"), ("a.x", "s-2")]));
        ring.push(segment(10, &[("a.secret", "s-1")]));
        assert_eq!(told(&ring, 5), Some(vec![6, 9, 10]));
        assert_eq!(told(&ring, 9), Some(vec![10]));
        assert_eq!(told(&ring, 10), Some(vec![]));
        ring.push(segment(11, &[("a.x", "s-1"), ("a.x", "s-1")]));
        assert_eq!(told(&ring, 6), None, "five are too many, so the first ones go");
        assert_eq!(told(&ring, 7), Some(vec![9, 10, 12, 13]));
        ring.push(segment(13, &[("a.x", "s-1"); 9]));
        assert_eq!(told(&ring, 21), None, "what is too much at once does not stay");
        assert_eq!(told(&ring, 22), Some(vec![]));
        assert_eq!((ring.bytes, ring.messages), (0, 0));
    }

    #[test]
    fn it_is_bounded_by_bytes_too() {
        let mut ring = Ring::new(Position::new(0), 2_000, usize::MAX);
        for after in 0..100 {
            ring.push(segment(after, &[("a.x", "s-1")]));
            assert!(ring.bytes <= 2_000);
        }
        assert!(ring.messages > 4);
        assert_eq!(told(&ring, 98), Some(vec![99, 100]));
    }
}
