//! Where to resume: what the end of the stream says, against what the cursor says.
//!
//! A message that is no event stands behind an event; the cursor knows positions only, so a tail in
//! the middle of one is compared as a place.
//!
//! | the stream | the cursor | then |
//! | --- | --- | --- |
//! | ends with a message of ours | is before it | acks were lost: forward to the message |
//! | ends with a message of ours | is at it | go on |
//! | ends with a message of ours | is after it | the stream lost its end: back to the message |
//! | never held anything | anywhere | it is new, or was made again: back to the start |
//! | its last message was removed | before the last one left | forward to that one |
//! | its last message was removed | elsewhere | nothing says otherwise: go on |
//! | ends with anything else | anywhere | somebody else writes here: refuse |

use eventstore::{OutboxPlace, Position};

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing was ever in it.
    Empty,
    /// The last message stands here.
    At(OutboxPlace),
    /// The last message was purged, deleted or expired; the last one that is left, if one is,
    /// stands here.
    Removed(Option<OutboxPlace>),
}

/// The place to resume after.
pub(super) fn resume(cursor: OutboxPlace, tail: Tail) -> OutboxPlace {
    match tail {
        Tail::Empty => OutboxPlace::after(Position::START),
        Tail::At(place) => place,
        Tail::Removed(left) => left.map_or(cursor, |place| cursor.max(place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_knows_better_than_the_cursor() {
        let at = |position| OutboxPlace::after(Position::new(position));
        let within = |position, ordinal| OutboxPlace::within(Position::new(position), ordinal);
        let cases = [
            (5, Tail::At(at(7)), at(7)),
            (5, Tail::At(at(5)), at(5)),
            (5, Tail::At(at(3)), at(3)),
            (5, Tail::At(within(5, 0)), within(5, 0)),
            (5, Tail::At(within(6, 2)), within(6, 2)),
            (5, Tail::Empty, at(0)),
            (5, Tail::Removed(None), at(5)),
            (5, Tail::Removed(Some(at(4))), at(5)),
            (5, Tail::Removed(Some(within(5, 1))), at(5)),
            (5, Tail::Removed(Some(within(6, 1))), within(6, 1)),
        ];
        for (cursor, tail, expected) in cases {
            assert_eq!(resume(at(cursor), tail), expected, "{cursor} {tail:?}");
        }
    }
}
