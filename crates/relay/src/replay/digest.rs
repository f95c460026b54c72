//! What a subscriber computes over all it got: SHA-256 over each message's `ce-id`, a line feed, its
//! body and a line feed, in the order of `ce-replaynumber`.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The digest so far.
#[derive(Default)]
pub(super) struct Digest(Sha256);

impl Digest {
    pub(super) fn update(&mut self, id: Uuid, body: &[u8]) {
        self.0.update(id.to_string());
        self.0.update(b"\n");
        self.0.update(body);
        self.0.update(b"\n");
    }

    /// Hexadecimal, lower case.
    pub(super) fn finish(self) -> String {
        use std::fmt::Write as _;
        self.0.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '00000000-0000-0000-0000-000000000000\n{}\n' | sha256sum`
    #[test]
    fn is_what_the_documents_say() {
        let mut digest = Digest::default();
        digest.update(Uuid::nil(), b"{}");
        assert_eq!(
            digest.finish(),
            "e7b3a8650549c2a4302049d2e5e4111f0d9fa0eb13f8a3bb9cbbf03f873da68f"
        );
    }
}
