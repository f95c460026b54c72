//! When the next key is due.

use chrono::{DateTime, TimeDelta, Utc};

use super::{KeySet, SigningPeriod};

/// How keys follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How long a key signs.
    pub period: TimeDelta,
    /// How long before that it is made and published: longer than any process or cache of another
    /// party keeps what it has read.
    pub announced: TimeDelta,
}

impl Rotation {
    /// The period of the key that is to be made now; nothing while the keys there are suffice.
    ///
    /// The next one takes over when the last one ends. Where there is none that signs, because it is
    /// the first or nobody made one for so long, it signs at once: nobody has waited for an
    /// announcement, and nobody could log in meanwhile.
    #[must_use]
    pub fn due(&self, keys: &KeySet, now: DateTime<Utc>) -> Option<SigningPeriod> {
        let ends = keys.keys().iter().map(|key| key.period().not_after).max();
        let not_before = match ends {
            Some(ends) if now < ends - self.announced => return None,
            Some(ends) => ends.max(now),
            None => now,
        };
        Some(SigningPeriod { not_before, not_after: not_before + self.period })
    }
}
