//! Who is believed what.

use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";

fn proxies(header: Header) -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "fd00::/8", "127.0.0.1"], header).unwrap()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let value = |value| HeaderValue::from_str(value).unwrap();
    lines.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}

/// Who asks and over what, when `peer` has sent `lines` in the clear.
fn seen(header: Header, peer: &str, lines: &[(&'static str, &str)]) -> (String, Scheme) {
    let peer = peer.parse().unwrap();
    let (ClientAddress(client), scheme) =
        proxies(header).client(peer, Scheme::Http, &headers(lines));
    (client.to_string(), scheme)
}

/// Who asks, when the proxy has sent one line of `X-Forwarded-For`.
fn named(line: &str) -> String {
    seen(Header::XForwarded, PROXY, &[("x-forwarded-for", line)]).0
}

/// Who asks, when the proxy has sent one line of `Forwarded`.
fn named_in_forwarded(line: &str) -> String {
    seen(Header::Forwarded, PROXY, &[("forwarded", line)]).0
}

#[test]
fn the_first_from_the_right_that_is_no_proxy_is_the_client() {
    assert_eq!(named("192.0.2.1"), "192.0.2.1");
    assert_eq!(named("6.6.6.6, 192.0.2.1"), "192.0.2.1", "the left is the client's");
    assert_eq!(named("6.6.6.6, 192.0.2.1 ,10.0.0.9"), "192.0.2.1");
    assert_eq!(named("10.0.0.7, 10.0.0.9"), "10.0.0.7", "proxies only: the first of them");
    for written in ["192.0.2.1:4711", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80"] {
        assert_eq!(named(written), "192.0.2.1");
    }
    for written in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711"] {
        assert_eq!(named(written), "2001:db8::1");
    }
    assert_eq!(seen(Header::XForwarded, PROXY, &[]).0, PROXY, "it asks for itself");
    let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1, 10.0.0.9")];
    assert_eq!(seen(Header::XForwarded, PROXY, &lines).0, "192.0.2.1", "lines are one list");
}

#[test]
fn what_cannot_be_read_ends_the_walk() {
    for nonsense in ["", "unknown", "_hidden", "192.0.2", "192.0.2.1.5", "[192.0.2.1", "a b", "\""]
    {
        assert_eq!(named(nonsense), PROXY, "{nonsense:?}");
        assert_eq!(named(&format!("6.6.6.6, {nonsense}")), PROXY, "{nonsense:?}");
        assert_eq!(named(&format!("6.6.6.6, {nonsense}, 10.0.0.9")), "10.0.0.9", "{nonsense:?}");
    }
    for nonsense in ["", "for", "for=", "for=unknown", "for=\"_hidden\"", "for=\"192.0.2.1", "by=x"]
    {
        assert_eq!(named_in_forwarded(nonsense), PROXY, "{nonsense:?}");
    }
}

#[test]
fn forwarded_is_read_as_it_is_written() {
    assert_eq!(named_in_forwarded("for=192.0.2.1"), "192.0.2.1");
    assert_eq!(named_in_forwarded("For=\"[2001:db8::1]:4711\""), "2001:db8::1");
    assert_eq!(named_in_forwarded("by=10.0.0.1 ; for=192.0.2.1;host=\"a,b;c\""), "192.0.2.1");
    assert_eq!(named_in_forwarded("for=6.6.6.6, for=192.0.2.1, for=10.0.0.9"), "192.0.2.1");
    let open = "for=\"6.6.6.6, for=192.0.2.1;host=\"x,y\"";
    assert_eq!(named_in_forwarded(open), "192.0.2.1", "an open quotation at the left");
    let lines = [("forwarded", "for=6.6.6.6;proto=https, for=192.0.2.1;proto=http, for=10.0.0.9")];
    assert_eq!(seen(Header::Forwarded, PROXY, &lines).1, Scheme::Http, "as the client asked");
}

#[test]
fn the_scheme_is_what_the_nearest_proxy_says() {
    let scheme = |line| seen(Header::XForwarded, PROXY, &[("x-forwarded-proto", line)]).1;
    assert_eq!(scheme("https"), Scheme::Https);
    assert_eq!(scheme("https, http"), Scheme::Http);
    assert_eq!(scheme("HTTPS"), Scheme::Https);
    assert_eq!(scheme("gopher"), Scheme::Http, "as it came");
}

#[test]
fn only_the_header_that_the_proxies_use_is_read() {
    let both = [("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(seen(Header::XForwarded, PROXY, &both), ("192.0.2.1".to_owned(), Scheme::Http));
    let both = [
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
    ];
    assert_eq!(seen(Header::Forwarded, PROXY, &both), ("192.0.2.1".to_owned(), Scheme::Http));
}

#[test]
fn an_address_of_version_4_is_one_however_it_comes() {
    let peer = "::ffff:10.0.0.1";
    assert_eq!(seen(Header::XForwarded, peer, &[("x-forwarded-for", "192.0.2.1")]).0, "192.0.2.1");
    assert_eq!(seen(Header::XForwarded, "::ffff:192.0.2.7", &[]).0, "192.0.2.7");
}

#[test]
fn what_is_no_network_is_refused() {
    for text in ["", "10.0.0.0/33", "proxy", "10.0.0"] {
        assert_eq!(
            TrustedProxies::new([text], Header::default()).unwrap_err(),
            NotANetwork(text.to_owned())
        );
    }
}

/// What a client may send: mostly things that look like what is parsed.
fn anything() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("10.0.0.9".to_owned()),
        Just("6.6.6.6".to_owned()),
        Just("for=10.0.0.9".to_owned()),
        Just("for=\"[fd00::1]:80\"".to_owned()),
        Just("proto=https".to_owned()),
        "[\"\\\\,;= \\[\\]:_a-z0-9.]{0,12}",
        "[ -~]{0,20}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join(","))
}

fn ways() -> impl Strategy<Value = Header> {
    prop_oneof![Just(Header::XForwarded), Just(Header::Forwarded)]
}

proptest! {
    #[test]
    fn nothing_that_an_untrusted_peer_sends_changes_who_it_is(
        header in ways(),
        peer in prop_oneof![Just("192.0.2.1"), Just("2001:db8::1"), Just("127.0.0.2")],
        lines in prop::collection::vec(anything(), 0..3),
    ) {
        let mut sent = HeaderMap::new();
        for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded"] {
            for line in &lines {
                sent.append(name, HeaderValue::from_str(line).unwrap());
            }
        }
        let peer: IpAddr = peer.parse().unwrap();
        for scheme in [Scheme::Http, Scheme::Https] {
            let told = proxies(header).client(peer, scheme, &sent);
            prop_assert_eq!(told, (ClientAddress(peer), scheme));
        }
    }

    /// A proxy adds its line at the right, or a part to the line that came, or a line of its own.
    #[test]
    fn nothing_that_a_client_sends_hides_what_the_proxy_adds(
        header in ways(),
        lines in prop::collection::vec(anything(), 0..3),
        is_appended in any::<bool>(),
    ) {
        let (name, added) = match header {
            Header::XForwarded => ("x-forwarded-for", "192.0.2.1"),
            Header::Forwarded => ("forwarded", "for=\"192.0.2.1:4711\";proto=http"),
        };
        let mut lines = lines;
        match lines.last_mut().filter(|_| is_appended) {
            Some(last) => *last = format!("{last}, {added}"),
            None => lines.push(added.to_owned()),
        }
        let mut sent = HeaderMap::new();
        for line in &lines {
            sent.append(name, HeaderValue::from_str(line).unwrap());
        }
        let told = proxies(header).client(PROXY.parse().unwrap(), Scheme::Http, &sent);
        prop_assert_eq!(told, (ClientAddress("192.0.2.1".parse().unwrap()), Scheme::Http));
    }
}
