//! Where the application is that people use.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// What a token may hold as it is, in a link.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of the client application, to which links of mails lead, for example
/// `https://shop.example` or `https://example.com/shop`.
///
/// It is `https`, or `http` on this machine: whoever can change the page on its way can read the
/// token of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientUrl(Url);

/// Why an address is not one that mails can link to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientUrl {
    /// It cannot be read.
    #[error("it is no address such as https://shop.example")]
    Unreadable,
    /// It is neither https nor on this machine.
    #[error("it begins with https://, or with http:// and a loopback host")]
    Insecure,
    /// It holds a user, a password, a query or a fragment.
    #[error("it ends with its path, and holds no user")]
    Surplus,
}

impl ClientUrl {
    /// What people know it by: its host, with its port if that is not the usual one.
    pub(super) fn name(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The address of one of its pages.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// The address of one of its pages, with a token that only the page can read.
    pub(super) fn page_with(&self, path: &str, token: &str) -> String {
        format!("{}#token={}", self.page(path), utf8_percent_encode(token, &ESCAPED))
    }
}

impl FromStr for ClientUrl {
    type Err = InvalidClientUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidClientUrl::Unreadable)?;
        let is_here = match url.host().ok_or(InvalidClientUrl::Unreadable)? {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(InvalidClientUrl::Insecure);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidClientUrl::Surplus);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ClientUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_below_the_path_and_its_token_in_the_fragment() {
        for (base, name, page) in [
            ("https://shop.example", "shop.example", "https://shop.example/verify#token=a-1_b"),
            ("https://a.example/shop/", "a.example", "https://a.example/shop/verify#token=a-1_b"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/verify#token=a-1_b"),
        ] {
            let client: ClientUrl = base.parse().unwrap();
            assert_eq!(
                (client.name().as_str(), client.page_with("verify", "a-1_b")),
                (name, page.to_owned())
            );
        }
        let client: ClientUrl = "https://shop.example".parse().unwrap();
        assert_eq!(client.page_with("x", "a b&\"#"), "https://shop.example/x#token=a%20b%26%22%23");
    }

    #[test]
    fn what_mails_should_not_link_to_is_refused() {
        for (base, reason) in [
            ("shop.example", InvalidClientUrl::Unreadable),
            ("mailto:a@shop.example", InvalidClientUrl::Unreadable),
            ("", InvalidClientUrl::Unreadable),
            ("http://shop.example", InvalidClientUrl::Insecure),
            ("http://localhost.example", InvalidClientUrl::Insecure),
            ("ftp://localhost", InvalidClientUrl::Insecure),
            ("https://u:p@shop.example", InvalidClientUrl::Surplus),
            ("https://shop.example/?a=b", InvalidClientUrl::Surplus),
            ("https://shop.example/#/", InvalidClientUrl::Surplus),
        ] {
            assert_eq!(base.parse::<ClientUrl>(), Err(reason), "{base}");
        }
    }
}
