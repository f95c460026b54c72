//! A mail as it is written to the server.

use std::str::FromStr;

use application::ports::{Mail, MailError};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address::AddressError};
use url::Host;

/// Whom mail is from, such as `Shop <no-reply@shop.example>` or the address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// Why mail cannot be from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no sender such as Shop <no-reply@shop.example>")]
pub struct InvalidSender;

impl Sender {
    /// What is behind the `@`.
    pub(super) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl FromStr for Sender {
    type Err = InvalidSender;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Mailbox { name, email } = text.parse().map_err(|_| InvalidSender)?;
        let email = address(email.as_ref()).map_err(|_| InvalidSender)?;
        // Whoever answers a mail of ours must reach somebody by any server.
        if !email.user().is_ascii() {
            return Err(InvalidSender);
        }
        Ok(Self(Mailbox::new(name.as_deref().map(one_line), email)))
    }
}

/// A mail with its envelope.
pub(super) struct Rendered {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

/// Writes `mail`.
///
/// # Errors
/// [`MailError::Permanent`]: there is no such address.
pub(super) fn render(mail: &Mail, from: &Sender) -> Result<Rendered, MailError> {
    let refused = MailError::Permanent { code: None };
    let Ok(to) = address(&mail.to.address) else { return Err(refused) };
    let name = mail.to.name.as_deref().map(one_line).filter(|name| !name.is_empty());
    let builder = Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(name, to.clone()))
        .subject(one_line(&mail.subject))
        .message_id(Some(format!("<{}@{}>", mail.message_id, from.domain())))
        .header(AutoSubmitted);
    let text = lines(&mail.text);
    let message = match mail.html.as_deref().map(lines) {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
        None => builder.singlepart(SinglePart::plain(text)),
    };
    // There is a sender and a recipient, so it is complete.
    let Ok(message) = message else { return Err(refused) };
    Ok(Rendered { from: from.0.email.clone(), to, bytes: message.formatted() })
}

/// An address, with its domain as the DNS has it: servers that know only ASCII take it then.
fn address(text: &str) -> Result<Address, AddressError> {
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(AddressError::InvalidInput);
    }
    let (user, domain) = text.rsplit_once('@').ok_or(AddressError::MissingParts)?;
    match Host::parse(domain) {
        Ok(Host::Domain(domain)) => Address::new(user, domain),
        _ => Err(AddressError::InvalidDomain),
    }
}

/// A text without what could end the line that it stands in.
fn one_line(text: &str) -> String {
    let is_break = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let text = text.chars().map(|letter| if is_break(letter) { ' ' } else { letter });
    text.collect::<String>().trim().to_owned()
}

/// A text whose lines end in one way: what else looks like an end of a line looks so to some servers
/// only, which may then see the end of the mail in it.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\r', '\0'], "\n")
}

/// Tells mailboxes that nobody is here to read an automatic answer (RFC 3834).
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use application::ports::Recipient;
    use uuid::Uuid;

    use super::*;

    fn mail(address: &str) -> Mail {
        Mail {
            message_id: Uuid::nil(),
            to: Recipient { address: address.to_owned(), name: None },
            subject: "s".into(),
            text: "t".into(),
            html: None,
        }
    }

    #[test]
    fn what_is_no_address_is_refused_for_good() {
        let from: Sender = "no-reply@shop.example".parse().unwrap();
        for wrong in [
            "",
            "ada",
            "@shop.example",
            "ada@",
            "a@b@c.example",
            "a b@c.example",
            "a@b\r\nRSET",
            "a@c.example\r\nBcc: b@c.example",
            "\"a\r\nb\"@c.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@c.example,b@c.example",
            "a@c.example>",
            "Ada <a@c.example>",
        ] {
            let refused = render(&mail(wrong), &from).err().map(|error| error.is_permanent());
            assert_eq!(refused, Some(true), "{wrong:?}");
        }
    }

    #[test]
    fn a_domain_is_written_as_the_dns_has_it() {
        let from: Sender = "Ünal <no-reply@läden.example>".parse().unwrap();
        assert_eq!(from.domain(), "xn--lden-loa.example");
        let rendered = render(&mail("ada@Bücher.example"), &from).unwrap();
        assert_eq!(rendered.to.to_string(), "ada@xn--bcher-kva.example");
    }

    #[test]
    fn whom_mail_cannot_be_from() {
        for wrong in ["", "Shop", "Shop <>", "größe@shop.example", "a@b.example, c@d.example"] {
            assert_eq!(wrong.parse::<Sender>(), Err(InvalidSender), "{wrong}");
        }
    }
}
