//! Hosts as requests and the configuration name them (RFC 3986 section 3.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, in lower case.
    Name(Box<str>),
}

impl Host {
    /// Parses `host` or `host:port`, as a request names it. An IPv6 address has brackets. `None` if the text is neither.
    pub fn of(text: &str) -> Option<Self> {
        let (host, port) = split(text)?;
        let is_port = |port: &str| {
            port.is_empty()
                || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
        };
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        if let Some(literal) = host.strip_prefix('[') {
            let ip = literal.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(Self::Ip(IpAddr::V6(ip).to_canonical()));
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Some(Self::Ip(ip.into()));
        }
        let is_name = !host.is_empty() && host.bytes().all(is_name_byte);
        is_name.then(|| Self::Name(host.to_ascii_lowercase().into()))
    }

    /// Parses a host of the configuration. An IPv6 address may lack its brackets. A name has no byte that a mistake could explain,
    /// such as the `*` of a pattern.
    pub fn configured(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::Ip(ip.to_canonical()));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        Self::of(text).filter(|host| match host {
            Self::Ip(_) => true,
            Self::Name(name) => name.bytes().all(is_plain) && !text.ends_with(':'),
        })
    }

    /// Whether [`Self::of`] parses the text, without an allocation for the usual form.
    pub fn is_valid(text: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        !text.is_empty() && text.bytes().all(is_plain) || Self::of(text).is_some()
    }
}

/// The host, with its brackets, and the rest, which is empty or begins with a colon if the text is valid.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    Some(text.split_at(end))
}

/// Whether a registered name may have this byte (RFC 3986 section 3.2.2).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: Option<Host>) -> Option<String> {
        host.map(|host| match host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.into(),
        })
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, host) in [
            ("example.org", "example.org"),
            ("Example.ORG:8081", "example.org"),
            ("example.org:", "example.org"),
            ("a_b", "a_b"),
            ("*.example.org", "*.example.org"),
            ("127.0.0.1:8081", "127.0.0.1"),
            ("[::1]", "::1"),
            ("[::1]:8081", "::1"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ] {
            assert_eq!(shown(Host::of(text)).as_deref(), Some(host), "{text}");
            assert!(Host::is_valid(text));
        }
        for text in [
            "",
            ":80",
            " a",
            "a b",
            "a:80:81",
            "a:x",
            "a:-1",
            "a:+1",
            "a:65536",
            "a/b",
            "user@a",
            "[::1",
            "::1",
            "[::1]x",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "http://a",
            "a,\tb",
            "a\u{7f}",
            "\u{e9}",
            "[]",
            "a?b",
            "a#b",
        ] {
            assert!(Host::of(text).is_none() && !Host::is_valid(text), "{text:?}");
        }
    }

    #[test]
    fn a_host_of_the_configuration_is_plain_and_an_address_may_lack_brackets() {
        for (text, host) in [
            ("a", "a"),
            ("Ops.example.org", "ops.example.org"),
            ("ops.example.org:8443", "ops.example.org"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1:1", "10.0.0.1"),
            ("::1", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("[::1]", "::1"),
            ("[::1]:80", "::1"),
        ] {
            assert_eq!(shown(Host::configured(text)).as_deref(), Some(host), "{text}");
        }
        for text in [
            "",
            "*",
            "*.example.org",
            "https://a",
            "a/b",
            "a b",
            "u@a",
            "a:b",
            "a:",
            "[a]",
            ":80",
            "a,b",
        ] {
            assert!(Host::configured(text).is_none(), "{text}");
        }
    }
}
