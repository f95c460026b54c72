//! A mail from its paragraphs, as text and as HTML.

use std::fmt::{self, Write as _};

use uuid::Uuid;

use crate::ports::{Mail, Recipient};

/// Where lines of the text are broken.
const COLUMNS: usize = 72;

/// The words of a mail. `Debug` shows none of them, for there may be a token among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is about.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl Letter {
    /// As a mail to `to`.
    #[must_use]
    pub fn to(self, to: Recipient, message_id: Uuid) -> Mail {
        let Self { subject, text, html } = self;
        Mail { message_id, to, subject, text, html: Some(html) }
    }

    /// Begins one about `subject`, which is its heading as well.
    pub(super) fn about(subject: String) -> Draft {
        Draft { subject, text: String::new(), body: String::new() }
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").finish_non_exhaustive()
    }
}

/// A letter that is being written.
pub(super) struct Draft {
    subject: String,
    text: String,
    body: String,
}

impl Draft {
    /// A paragraph.
    pub(super) fn say(mut self, paragraph: &str) -> Self {
        let mut columns = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if columns > 0 && columns + 1 + length > COLUMNS {
                self.text.push('\n');
                columns = 0;
            } else if columns > 0 {
                self.text.push(' ');
                columns += 1;
            }
            self.text.push_str(word);
            columns += length;
        }
        self.text.push_str("\n\n");
        self.html(format_args!("<p>{}</p>\n", Escaped(paragraph)));
        self
    }

    /// What to do, and where.
    pub(super) fn link(mut self, what: &str, address: &str) -> Self {
        self.text(format_args!("{what}:\n{address}\n\n"));
        let (what, address) = (Escaped(what), Escaped(address));
        self.html(format_args!("<p><a href=\"{address}\">{what}</a></p>\n"));
        self
    }

    /// The token by itself.
    pub(super) fn code(mut self, token: &str) -> Self {
        self = self.say("If the link does not work, enter this code:");
        self.text(format_args!("{token}\n\n"));
        self.html(format_args!("<p><code>{}</code></p>\n", Escaped(token)));
        self
    }

    pub(super) fn end(self) -> Letter {
        let Self { subject, text, body } = self;
        let title = Escaped(&subject);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>\nbody {{ max-width: 36em; margin: 1em auto; padding: 0 1em; \
             font: 1em/1.5 sans-serif; }}\n\
             h1 {{ font-size: 1.25em; }}\ncode {{ overflow-wrap: anywhere; }}\n</style>\n</head>\n\
             <body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
        );
        let text = format!("{}\n", text.trim_end());
        Letter { subject, text, html }
    }

    fn text(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(text);
    }

    fn html(&mut self, html: fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(html);
    }
}

/// A text as it stands between tags of HTML and between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_html_is_escaped_wherever_it_stands() {
        let evil = "<script>alert('x')</script>&\"";
        let draft = Letter::about(evil.into()).say(evil).link(evil, evil).code(evil);
        let letter = draft.end();
        assert!(!letter.html.contains("<script") && !letter.html.contains("alert('"));
        assert!(letter.html.contains("<a href=\"&lt;script&gt;"), "{}", letter.html);
        assert!(letter.text.contains(evil));
        assert!(!format!("{letter:?}").contains("script"));
    }

    #[test]
    fn lines_of_the_text_are_broken_between_words_and_links_nowhere() {
        let link = format!("https://shop.example/verify#token={}", "x".repeat(100));
        let letter = Letter::about("s".into()).say(&"words ".repeat(40)).link("Go", &link).end();
        assert!(
            letter
                .text
                .lines()
                .filter(|line| !line.contains("token"))
                .all(|line| line.len() <= COLUMNS)
        );
        assert!(letter.text.contains(&format!("\n{link}\n")));
    }
}
