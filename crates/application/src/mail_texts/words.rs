//! Words as they may stand in a mail.

use chrono::{DateTime, Utc};

/// Most characters of what somebody else chose.
const MOST: usize = 80;

/// What somebody else chose, in one line, without what controls how text is shown, and not long.
pub(super) fn foreign(text: &str) -> String {
    let shown = text.chars().map(|letter| if is_control(letter) { ' ' } else { letter });
    let shown: String = shown.collect();
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", words[..end].trim_end()),
        None => words,
    }
}

/// Control characters, what separates lines and paragraphs, and what turns or joins text unseen.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A time that is the same wherever it is read.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y at %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_chose_is_one_short_line() {
        assert_eq!(foreign("  Tea\r\nBcc: all\u{202e}\u{200b}\u{2028}Ltd "), "Tea Bcc: all Ltd");
        assert_eq!(foreign("Müller & Søn"), "Müller & Søn");
        let long = foreign(&"ä".repeat(500));
        assert_eq!((long.chars().count(), long.ends_with("ä…")), (MOST + 1, true));
        assert_eq!(foreign(&"ä".repeat(MOST)), "ä".repeat(MOST));
    }
}
