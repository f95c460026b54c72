//! From the right over trusted proxies to whoever asked the first of them.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};

use super::Scheme;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Addresses from `X-Forwarded-For`; the scheme is the last one of `X-Forwarded-Proto`, which is
/// that of the nearest proxy, for nothing says which proxy has written which.
pub(super) fn x_forwarded(
    headers: &HeaderMap,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> (IpAddr, Option<Scheme>) {
    let mut client = peer;
    for part in parts(headers, &X_FORWARDED_FOR) {
        let Some(address) = part.and_then(node) else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    let scheme = parts(headers, &X_FORWARDED_PROTO).next().flatten();
    (client, scheme.and_then(|scheme| scheme.parse().ok()))
}

/// Addresses from `Forwarded`; the scheme is that of the element that names the client.
pub(super) fn forwarded(
    headers: &HeaderMap,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> (IpAddr, Option<Scheme>) {
    let (mut client, mut scheme) = (peer, None);
    for element in parts(headers, &FORWARDED) {
        let Some((address, told)) = element.and_then(pairs) else { break };
        scheme = told;
        let Some(address) = address.and_then(node) else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    (client, scheme)
}

/// The parts of a list, the last one first, over all lines of the header; none for what is no
/// text.
fn parts<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(|line| match line.to_str() {
        Ok(text) => FromRight::of(text, ',').map(|part| Some(part.trim())).collect(),
        Err(_) => vec![None],
    })
}

/// What `for` and `proto` of an element say.
fn pairs(element: &str) -> Option<(Option<&str>, Option<Scheme>)> {
    let (mut node, mut scheme) = (None, None);
    for pair in FromRight::of(element, ';') {
        let (name, value) = pair.trim().split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => value,
        };
        if name.eq_ignore_ascii_case("for") {
            node = Some(value);
        } else if name.eq_ignore_ascii_case("proto") {
            scheme = value.parse().ok();
        }
    }
    Some((node, scheme))
}

/// An address with or without a port, that of version 6 in brackets or not.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The parts of a text between delimiters that are not in quotes, the last one first.
///
/// From the right, because what trusted proxies wrote is there: a quotation mark that a client
/// left open at the left changes nothing of it.
struct FromRight<'a> {
    rest: Option<&'a str>,
    delimiter: char,
}

impl<'a> FromRight<'a> {
    fn of(text: &'a str, delimiter: char) -> Self {
        Self { rest: Some(text), delimiter }
    }
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let mut is_quoted = false;
        let delimiter = text.char_indices().rev().find(|&(_, letter)| {
            is_quoted ^= letter == '"';
            letter == self.delimiter && !is_quoted
        });
        let (rest, part) = match delimiter {
            Some((index, _)) => (Some(&text[..index]), &text[index + 1..]),
            None => (None, text),
        };
        self.rest = rest;
        Some(part)
    }
}
