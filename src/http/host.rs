//! The host that a request is for, and the hosts that the operators' listener answers for (RFC 9112 section 3.2).
//!
//! A page in a browser can reach a listener on loopback: directly, or by a name of its own that resolves to 127.0.0.1 (DNS
//! rebinding). The browser names the page's host in `Host`, and the page's origin in `Origin`. The operators' listener therefore
//! answers only requests that name its own address or a name of `server.hosts`.

use std::{net::IpAddr, sync::Arc};

use axum::http::{
    HeaderMap, HeaderName, Uri, Version,
    header::{HOST, ORIGIN},
};

use super::problem::{Code, Problem};
use crate::host::Host;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Checks that a request names its host as HTTP demands. HTTP/1.1 needs exactly one `Host`; HTTP/1.0 may lack it. HTTP/2 may have
/// `:authority` instead.
///
/// # Errors
/// `request-invalid`.
pub(super) fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let invalid = |detail| Err(Problem::new(Code::RequestInvalid, detail));
    let mut lines = headers.get_all(HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (_, Some(_)) => return invalid("send one `Host`, not several"),
        (None, None) if version == Version::HTTP_11 => return invalid("send `Host`"),
        (line, None) => line,
    };
    let is_valid = line.is_none_or(|line| line.to_str().is_ok_and(Host::is_valid));
    if !is_valid || !uri.authority().is_none_or(|authority| Host::is_valid(authority.as_str())) {
        return invalid(
            "name the host as `name`, `name:port`, `address:port` or `[IPv6 address]:port`",
        );
    }
    // RFC 9113 section 8.3.1. In HTTP/1.1 the target counts, whatever `Host` says (RFC 9112 section 3.2.2).
    if version >= Version::HTTP_2
        && let (Some(line), Some(authority)) = (line, uri.authority())
        && line.to_str().ok().and_then(Host::of) != Host::of(authority.as_str())
    {
        return invalid("`:authority` and `Host` differ; send one of them");
    }
    Ok(())
}

/// The hosts that a listener answers for.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The listener's address. An unspecified one is every address of the machine.
    local: IpAddr,
    others: Arc<[Host]>,
}

impl Hosts {
    /// Those of a listener at `local`: this address, `localhost` if it is one of loopback, and `names`. A name may have a port,
    /// which is ignored; an IPv6 address may lack its brackets.
    pub fn new(local: IpAddr, names: &[String]) -> Self {
        let others = names.iter().filter_map(|name| Host::configured(name));
        Self { local: local.to_canonical(), others: others.collect() }
    }

    /// Whether this text, `host` or `host:port`, is one of them. Ports are ignored: a browser's page cannot choose the host of
    /// another port, and a tunnel has a port of its own.
    fn contain(&self, text: &str) -> bool {
        let Some(host) = Host::of(text) else {
            return false;
        };
        let is_any = self.local.is_unspecified();
        let is_own = match &host {
            // No name resolves to it, so a browser that names it has connected to it.
            Host::Ip(ip) => is_any || *ip == self.local,
            Host::Name(name) => &**name == "localhost" && (is_any || self.local.is_loopback()),
        };
        is_own || self.others.contains(&host)
    }

    /// Checks that a request is for this listener, and that no page of another site sent it. HTTP/1.0 may name no host: no browser
    /// sends that. To be called after [`check`].
    ///
    /// # Errors
    /// `host-unknown`.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: HeaderName| headers.get(name).map(|it| it.to_str().unwrap_or_default());
        let target = uri.authority().map(|it| it.as_str()).or_else(|| text(HOST));
        if !target.is_none_or(|target| self.contain(target)) {
            return Err(Problem::new(
                Code::HostUnknown,
                "the operators' listener does not answer for this host; ask its address, or add the name to server.hosts",
            ));
        }
        let is_ours = |origin: &str| {
            origin.split_once("://").is_some_and(|(_, authority)| self.contain(authority))
        };
        let is_foreign = text(ORIGIN).is_some_and(|origin| !is_ours(origin));
        // A link from elsewhere to a page of this listener is no danger: its answer goes to the person, not to the other page.
        let is_fetched =
            text(FETCH_SITE) == Some("cross-site") && text(FETCH_MODE) != Some("navigate");
        if is_foreign || is_fetched {
            return Err(Problem::new(
                Code::HostUnknown,
                "a page of another site sent this; the operators' listener answers pages of its own hosts, which server.hosts names",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and values of headers.
    type Lines<'a> = [(&'static str, &'a str)];

    fn headers(lines: &Lines<'_>) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(header) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn http_1_1_names_exactly_one_host() {
        let one = [("host", "a:1")];
        let cases: [(Version, &str, &Lines<'_>, bool); 14] = [
            (Version::HTTP_11, "/", &one, true),
            (Version::HTTP_11, "/", &[], false),
            (Version::HTTP_11, "http://a/", &[], false),
            (Version::HTTP_11, "http://b/", &one, true),
            (Version::HTTP_11, "http://user@b/", &one, false),
            (Version::HTTP_11, "/", &[("host", "a"), ("host", "a")], false),
            (Version::HTTP_11, "/", &[("host", "a, b")], false),
            (Version::HTTP_11, "/", &[("host", "")], false),
            (Version::HTTP_10, "/", &[], true),
            (Version::HTTP_10, "/", &[("host", "a"), ("host", "b")], false),
            (Version::HTTP_2, "http://a/", &[], true),
            (Version::HTTP_2, "http://a/", &[("host", "A:2")], true),
            (Version::HTTP_2, "http://a/", &[("host", "b")], false),
            (Version::HTTP_2, "/", &one, true),
        ];
        for (version, uri, lines, is_valid) in cases {
            let checked = check(version, &uri.parse().unwrap(), &headers(lines));
            assert_eq!(checked.is_ok(), is_valid, "{version:?} {uri} {lines:?}");
        }
    }

    #[test]
    fn a_listener_answers_for_its_address_and_the_hosts_of_the_configuration() {
        let names = ["ops.example.org", "Other:443", "[2001:db8::1]:1", "2001:db8::2"];
        let names = names.map(str::to_owned);
        let is_known = |local: &str, host: &str| {
            Hosts::new(local.parse().unwrap(), &names)
                .check(&"/".parse().unwrap(), &headers(&[("host", host)]))
                .is_ok()
        };
        for (host, of_loopback, of_lan, of_all) in [
            ("127.0.0.1:8081", true, false, true),
            ("127.0.0.1", true, false, true),
            ("localhost:9", true, false, true),
            ("LOCALHOST", true, false, true),
            ("192.0.2.1:8081", false, true, true),
            ("[::1]:8081", false, false, true),
            ("127.0.0.2", false, false, true),
            ("ops.example.org", true, true, true),
            ("OPS.example.org:8443", true, true, true),
            ("other", true, true, true),
            ("[2001:db8::1]", true, true, true),
            ("[2001:db8:0::2]:5", true, true, true),
            ("evil.example.org", false, false, false),
            ("localhost.evil.example.org", false, false, false),
            ("127.0.0.1.evil.example.org", false, false, false),
            ("ops.example.org.", false, false, false),
        ] {
            let known = ["127.0.0.1", "192.0.2.1", "0.0.0.0"].map(|local| is_known(local, host));
            assert_eq!(known, [of_loopback, of_lan, of_all], "{host}");
        }
        assert!(is_known("::1", "[::1]:8081") && is_known("::1", "localhost"));
        assert!(is_known("::", "192.0.2.7"));
    }

    #[test]
    fn the_target_counts_before_the_header() {
        let hosts = Hosts::new([127, 0, 0, 1].into(), &[]);
        let check =
            |uri: &str, host| hosts.check(&uri.parse().unwrap(), &headers(&[("host", host)]));
        assert!(check("http://127.0.0.1:8081/livez", "evil.example.org").is_ok());
        let refused = check("http://evil.example.org/livez", "127.0.0.1:8081").unwrap_err();
        assert_eq!(refused.code, Code::HostUnknown);
        assert!(refused.detail.contains("server.hosts"));
        assert!(hosts.check(&"/".parse().unwrap(), &HeaderMap::new()).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let hosts = Hosts::new([127, 0, 0, 1].into(), &["ops.example.org".to_owned()]);
        let cases: [(&Lines<'_>, bool); 9] = [
            (&[("origin", "http://127.0.0.1:8081")], true),
            (&[("origin", "https://ops.example.org")], true),
            (&[("origin", "https://evil.example.org")], false),
            (&[("origin", "null")], false),
            (&[("origin", "127.0.0.1:8081")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], true),
            (&[("sec-fetch-site", "none")], true),
        ];
        for (lines, is_answered) in cases {
            let lines = [&[("host", "127.0.0.1:8081")], lines].concat();
            let checked = hosts.check(&"/metrics".parse().unwrap(), &headers(&lines));
            assert_eq!(checked.is_ok(), is_answered, "{lines:?}");
        }
    }
}
