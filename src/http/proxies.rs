//! The client's address of a request that passed trusted proxies.
//!
//! Each proxy appends the address of its peer to `X-Forwarded-For`, or as an element with `for=` to `Forwarded` (RFC 7239). The
//! list is therefore read from its end, skipping the proxies that the configuration names. The first other address is the
//! client's. The client may have forged all entries before it. An entry that cannot be read ends the list: were it skipped, a
//! client could make its own entry unreadable and have a forged one believed.
//!
//! Most proxies know `X-Forwarded-For` only, and pass a `Forwarded` of the client on. So `Forwarded` is read only if there is no
//! `X-Forwarded-For`; a proxy that sends `Forwarded` must drop the other.
//!
//! A request that names a proxy, but comes from one that the configuration does not name, is a likely mistake: all phones then
//! share one address in limits and log. It is reported once, and its connections are counted. Only the first request of a
//! connection is looked at, so that all others pay nothing.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The headers that show that a proxy has sent a request, as people write their names.
static OF_PROXIES: [(HeaderName, &str); 4] = [
    (FORWARDED_FOR, "X-Forwarded-For"),
    (header::FORWARDED, "Forwarded"),
    (HeaderName::from_static("x-real-ip"), "X-Real-IP"),
    (header::VIA, "Via"),
];

/// The networks of the trusted proxies.
#[derive(Clone, Debug)]
pub struct Proxies {
    networks: Arc<[IpNet]>,
    unnamed: Arc<Unnamed>,
}

/// What was seen of proxies that the configuration does not name, by all threads together.
#[derive(Debug)]
struct Unnamed {
    /// Whether nothing is to be reported, or no longer.
    is_reported: AtomicBool,
    connections: AtomicU64,
}

impl Default for Proxies {
    /// None. The headers say nothing, and are not reported.
    fn default() -> Self {
        Self::of(&[], true)
    }
}

impl From<&[IpNet]> for Proxies {
    fn from(networks: &[IpNet]) -> Self {
        Self::of(networks, false)
    }
}

impl Proxies {
    fn of(networks: &[IpNet], is_reported: bool) -> Self {
        let unnamed = Unnamed { is_reported: is_reported.into(), connections: AtomicU64::new(0) };
        Self { networks: networks.into(), unnamed: Arc::new(unnamed) }
    }

    /// Whether the address is one of a trusted proxy.
    pub fn contain(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Connections whose first request named a proxy, from an address that the configuration does not name.
    pub fn unnamed_seen(&self) -> u64 {
        self.unnamed.connections.load(Relaxed)
    }

    /// Notices that a proxy that is not trusted has sent this request. Any client can send such a header, so it is logged once, and
    /// without the address. To be called for the first request of a connection.
    pub fn notice_unnamed(&self, peer: IpAddr, headers: &HeaderMap) {
        let Some((_, name)) = OF_PROXIES.iter().find(|(header, _)| headers.contains_key(header))
        else {
            return;
        };
        if self.contain(peer) {
            return;
        }
        self.unnamed.connections.fetch_add(1, Relaxed);
        if !self.unnamed.is_reported.swap(true, Relaxed) {
            tracing::warn!(
                "{name} is ignored, because it came from an address that server.trusted_proxies does not name. If your proxy \
                 sent it, limits and log take all phones for one: add the proxy's network to server.trusted_proxies. This is \
                 logged once"
            );
        }
    }

    /// The client's address: that of the peer, unless the peer is a trusted proxy. An entry that is no address ends the
    /// list, and the proxy that appended it counts as the client.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contain(peer) {
            return peer;
        }
        let lines = |name| headers.get_all(name).iter().rev();
        if headers.contains_key(FORWARDED_FOR) {
            let entries = lines(FORWARDED_FOR).flat_map(|line| line.as_bytes().rsplit(is_comma));
            self.first_other(peer, entries, address)
        } else {
            let elements = lines(header::FORWARDED).flat_map(|line| parts(line.as_bytes(), b','));
            self.first_other(peer, elements, forwarded_for)
        }
    }

    /// The first address that is not a proxy's. Empty entries are skipped (RFC 9110 section 5.6.1).
    fn first_other<'a>(
        &self,
        peer: IpAddr,
        entries: impl Iterator<Item = &'a [u8]>,
        read: impl Fn(&[u8]) -> Option<IpAddr>,
    ) -> IpAddr {
        let mut origin = peer;
        for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
            let Some(ip) = read(entry) else {
                break;
            };
            origin = ip;
            if !self.contain(origin) {
                break;
            }
        }
        origin
    }
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// The parts of a text between separators, the last one first. A separator in a quoted string is none. Quotes are counted from the
/// end: the trusted proxy's element is there, and a quote that a client left open before it does not reach it.
fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    text.rsplit(move |byte| {
        is_quoted ^= *byte == b'"';
        !is_quoted && *byte == separator
    })
}

/// The address after `for=` of an element of `Forwarded` (RFC 7239 section 4). An obfuscated identifier is none.
///
/// An element with an escaped quote is not read: counted from the end, that quote would end the text that it stands in.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    if element.contains(&b'\\') {
        return None;
    }
    let value = |pair| {
        let mut halves = <[u8]>::splitn(pair, 2, |byte| *byte == b'=');
        let name = halves.next()?.trim_ascii();
        name.eq_ignore_ascii_case(b"for").then(|| halves.next()).flatten()
    };
    let mut values = parts(element, b';').filter_map(value);
    // A parameter must not occur twice.
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let value = value.trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    address(quoted.unwrap_or(value))
}

/// Parses an address, which some proxies write with a port or, of IPv6, in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let in_brackets = || {
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = text.parse().ok().or_else(in_brackets).or_else(with_port);
    ip.map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies() -> Proxies {
        let networks = ["10.0.0.0/8", "2001:db8::/64"].map(|net| net.parse().unwrap());
        Proxies::from(&networks[..])
    }

    fn origin_by(name: HeaderName, peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line).unwrap());
        }
        proxies().origin(peer.parse().unwrap(), &headers).to_string()
    }

    fn origin(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        origin_by(FORWARDED_FOR, peer, &lines)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(origin("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        assert_eq!(origin("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(origin("2001:db8::1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(
            Proxies::default().origin([10, 0, 0, 1].into(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn entries_of_the_client_are_ignored() {
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(origin("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_entry_is_read_in_every_form_that_proxies_write() {
        for (line, is) in [
            ("[2001:db8:1::7]", "2001:db8:1::7"),
            ("[2001:db8:1::7]:443", "2001:db8:1::7"),
            ("2001:db8:1::7", "2001:db8:1::7"),
            ("203.0.113.7:443", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
            ("203.0.113.7,,10.0.0.5", "203.0.113.7"),
            (" ,\t203.0.113.7 , , 10.0.0.5,", "203.0.113.7"),
            ("203.0.113.7, ::ffff:10.0.0.5", "203.0.113.7"),
            (",", "10.0.0.1"),
        ] {
            assert_eq!(origin("10.0.0.1", &[line]), is, "{line}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_ends_the_list() {
        for entry in [
            "unknown",
            "_hidden",
            "203.0.113.7:x",
            "203.0.113.7:99999",
            "203.0.113",
            "[203.0.113.7]",
            "[2001:db8::1",
            "2001:db8::1]",
            "a b",
            "\"203.0.113.7\"",
            "1.1.1.1;2.2.2.2",
            "0x7f.1",
            "fe80::1%eth0",
        ] {
            assert_eq!(origin("10.0.0.1", &[&format!("1.1.1.1, {entry}")]), "10.0.0.1", "{entry}");
            assert_eq!(origin("10.0.0.1", &["1.1.1.1", entry]), "10.0.0.1", "{entry}");
        }
        // Bytes that are no text, in a line of their own or in one with others.
        for lines in
            [&[&b"1.1.1.1"[..], b"\xe9"][..], &[b"1.1.1.1, \xff"], &[b"1.1.1.1", b"\x80, 10.0.0.2"]]
        {
            let is = origin_by(FORWARDED_FOR, "10.0.0.1", lines);
            assert!(is.starts_with("10."), "{is}");
        }
        // What a client sent before its own address does not matter.
        assert_eq!(origin_by(FORWARDED_FOR, "10.0.0.1", &[b"\xe9, 198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn forwarded_is_read_where_there_is_no_other() {
        for (line, is) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("For=\"203.0.113.7:47011\"", "203.0.113.7"),
            ("for=\"[2001:db8:1::7]:4711\"", "2001:db8:1::7"),
            ("for=\"[2001:db8:1::7]\";proto=https;by=10.0.0.1", "2001:db8:1::7"),
            ("proto=http; host=\"a,b;for=1.1.1.1\" ;for=203.0.113.7", "203.0.113.7"),
            ("for=1.1.1.1, for=203.0.113.7, for=10.0.0.9", "203.0.113.7"),
            ("for=\"1.1.1.1, for=203.0.113.7", "203.0.113.7"),
            ("for=1.1.1.1\", for=203.0.113.7,, for=\"10.0.0.9:1\"", "203.0.113.7"),
            ("for=1.1.1.1, for=unknown", "10.0.0.1"),
            ("for=203.0.113.7;host=\"a\\\",for=9.9.9.9;x=\\\"\"", "10.0.0.1"),
            ("for=1.1.1.1, for=_gazonk", "10.0.0.1"),
            ("for=1.1.1.1, proto=https", "10.0.0.1"),
            ("for=1.1.1.1, for=2.2.2.2;for=3.3.3.3", "10.0.0.1"),
            ("for=1.1.1.1, for=\"2.2.2.2", "10.0.0.1"),
            ("for=1.1.1.1, for", "10.0.0.1"),
            ("1.1.1.1", "10.0.0.1"),
        ] {
            assert_eq!(origin_by(header::FORWARDED, "10.0.0.1", &[line.as_bytes()]), is, "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::FORWARDED, "for=1.1.1.1".parse().unwrap());
        headers.append(FORWARDED_FOR, "203.0.113.7".parse().unwrap());
        let origin = proxies().origin([10, 0, 0, 1].into(), &headers);
        assert_eq!(origin.to_string(), "203.0.113.7", "X-Forwarded-For goes before Forwarded");
    }

    /// The bytes that a header's value may have.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let some = prop_oneof![
            Just(b','),
            Just(b'"'),
            Just(b';'),
            Just(b'='),
            Just(b' '),
            0x20..=0x7e_u8,
            0x80..=0xff_u8
        ];
        prop::collection::vec(some, 0..40)
    }

    proptest! {
        /// Whatever a client sends, the address that the nearest trusted proxy appends to it counts.
        #[test]
        fn no_line_of_a_client_hides_the_address_that_a_proxy_appends(line in line(), other in line()) {
            let appended = [&line[..], b", 203.0.113.7"].concat();
            let is = origin_by(FORWARDED_FOR, "10.0.0.1", &[&other, &appended, b"10.0.0.9"]);
            prop_assert_eq!(is, "203.0.113.7");
            let appended = [&line[..], b", for=203.0.113.7;proto=https"].concat();
            let is = origin_by(header::FORWARDED, "10.0.0.1", &[&other, &appended, b"for=10.0.0.9"]);
            prop_assert_eq!(is, "203.0.113.7");
        }
    }

    #[test]
    fn a_proxy_that_is_not_named_is_reported_once_and_counted() {
        let (proxy, stranger) = ([10, 0, 0, 1].into(), [192, 0, 2, 9].into());
        let proxies = proxies();
        let is_reported = || proxies.unnamed.is_reported.load(Relaxed);
        let with = |name: &HeaderName| HeaderMap::from_iter([(name.clone(), "x".parse().unwrap())]);
        proxies.notice_unnamed(stranger, &HeaderMap::new());
        proxies.notice_unnamed(stranger, &with(&header::ACCEPT));
        proxies.notice_unnamed(proxy, &with(&FORWARDED_FOR));
        assert!(!is_reported() && proxies.unnamed_seen() == 0);
        // All threads have one report.
        for (name, _) in &OF_PROXIES {
            proxies.clone().notice_unnamed(stranger, &with(name));
        }
        assert!(is_reported());
        assert_eq!(proxies.unnamed_seen(), 4);
    }
}
