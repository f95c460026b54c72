//! A token as a mail tells it.

use std::fmt;
use std::time::Duration;

/// A token, and for how long it works.
#[derive(Clone, Copy)]
pub struct Ticket<'a> {
    /// The token.
    pub token: &'a str,
    /// For how long, from when it is mailed.
    pub valid: Duration,
}

impl fmt::Debug for Ticket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("valid", &self.valid).finish_non_exhaustive()
    }
}

impl Ticket<'_> {
    /// For how long it works, in words.
    pub(super) fn valid_for(&self) -> String {
        valid_for(self.valid)
    }
}

/// How long that is, in words; rather too short than too long.
pub(super) fn valid_for(valid: Duration) -> String {
    let minutes = valid.as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "less than a minute".to_owned(),
        1..=119 if minutes != 60 => (minutes, "minute"),
        _ if minutes < 48 * 60 => (minutes / 60, "hour"),
        _ => (minutes / (24 * 60), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_works_is_never_overstated() {
        for (seconds, words) in [
            (59, "less than a minute"),
            (60, "1 minute"),
            (15 * 60, "15 minutes"),
            (60 * 60, "1 hour"),
            (90 * 60, "90 minutes"),
            (2 * 60 * 60 + 59 * 60, "2 hours"),
            (24 * 60 * 60, "24 hours"),
            (2 * 24 * 60 * 60, "2 days"),
            (7 * 24 * 60 * 60 + 1, "7 days"),
        ] {
            let ticket = Ticket { token: "secret", valid: Duration::from_secs(seconds) };
            assert_eq!(ticket.valid_for(), words);
            assert!(!format!("{ticket:?}").contains("secret"));
        }
    }
}
