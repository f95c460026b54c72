//! A body in chunks, as HTTP/1.1 sends what has no length.

/// Takes the chunks apart, wherever they are cut.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the line that says how long the next one is.
    #[default]
    Start,
    Size(usize),
    /// So many bytes of it are still to come.
    Data(usize),
    /// In the line end behind it.
    Behind,
    Complete,
}

impl Chunks {
    /// The data in `bytes`, which follow those of the last call.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let [first, behind @ ..] = rest {
            self.state = match self.state {
                State::Complete => break,
                State::Data(length) => {
                    let taken = length.min(rest.len());
                    data.extend_from_slice(&rest[..taken]);
                    rest = &rest[taken..];
                    if taken == length { State::Behind } else { State::Data(length - taken) }
                }
                state => {
                    rest = behind;
                    behind_byte(state, *first)
                }
            };
        }
        data
    }

    /// Whether the last one was there.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }
}

/// Where one byte between data leads to.
fn behind_byte(state: State, byte: u8) -> State {
    match (state, byte) {
        (State::Behind, b'\n') => State::Start,
        (State::Size(0), b'\n') => State::Complete,
        (State::Size(size), b'\n') => State::Data(size),
        (State::Start | State::Size(_), digit) => match char::from(digit).to_digit(16) {
            Some(digit) => {
                let size = if let State::Size(size) = state { size } else { 0 };
                State::Size(size * 16 + digit as usize)
            }
            None => state,
        },
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_apart_wherever_they_are_cut() {
        let body = b"5\r\nhello\r\n1A\r\n, this is some longer text\r\n0\r\n\r\n";
        for cut in 0..=body.len() {
            let mut chunks = Chunks::default();
            let mut data = chunks.take(&body[..cut]);
            data.extend(chunks.take(&body[cut..]));
            assert_eq!(String::from_utf8(data).unwrap(), "hello, this is some longer text");
            assert!(chunks.is_complete());
        }
    }
}
