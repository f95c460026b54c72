//! Where to resume: what the end of the stream says, against what the cursor says.
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

use eventstore::Position;

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing was ever in it.
    Empty,
    /// The last message carries this position.
    At(Position),
    /// The last message was purged, deleted or expired; the last one that is left, if one is,
    /// carries this position.
    Removed(Option<Position>),
}

/// The position to resume after.
pub(super) fn resume(cursor: Position, tail: Tail) -> Position {
    match tail {
        Tail::Empty => Position::START,
        Tail::At(position) => position,
        Tail::Removed(left) => left.map_or(cursor, |position| cursor.max(position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_knows_better_than_the_cursor() {
        let at = Position::new;
        let cases = [
            (5, Tail::At(at(7)), 7),
            (5, Tail::At(at(5)), 5),
            (5, Tail::At(at(3)), 3),
            (5, Tail::Empty, 0),
            (5, Tail::Removed(None), 5),
            (5, Tail::Removed(Some(at(4))), 5),
            (5, Tail::Removed(Some(at(6))), 6),
        ];
        for (cursor, tail, expected) in cases {
            assert_eq!(resume(at(cursor), tail), at(expected), "{cursor} {tail:?}");
        }
    }
}
