//! What two copies of a message have in common: subject, headers and body.

use async_nats::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::cloud_event::header;

/// SHA-256 over all that subscribers rely on.
pub(super) type Digest = [u8; 32];

/// Digests a message. Headers of the broker, and what differs each time it is published, are not part
/// of what is told.
pub(super) fn digest(subject: &str, headers: &HeaderMap, body: &[u8]) -> Digest {
    let mut told: Vec<(String, &str)> = headers
        .iter()
        .flat_map(|(name, values)| {
            values.iter().map(move |value| (AsRef::<str>::as_ref(name).to_owned(), value.as_str()))
        })
        .filter(|(name, _)| {
            let of_the_publishing = [header::LATE, header::AFTER, header::TRACE_PARENT];
            !name.to_ascii_lowercase().starts_with("nats-")
                && !of_the_publishing.contains(&name.as_str())
        })
        .collect();
    told.sort_unstable();
    let mut sha = Sha256::new();
    let mut part = |bytes: &[u8]| {
        sha.update((bytes.len() as u64).to_be_bytes());
        sha.update(bytes);
    };
    part(subject.as_bytes());
    for (name, value) in told {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    part(body);
    sha.finalize().into()
}
