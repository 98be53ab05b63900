//! Whose address a request has when it comes through proxies of ours.
//!
//! Each proxy adds the address it saw to the end of `X-Forwarded-For`. So the list is read from its end, past the proxies
//! that the configuration names; the first other address is the phone's. What stands before it anybody may have written.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies in front of us.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl From<&[IpNet]> for Proxies {
    fn from(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }
}

impl Proxies {
    fn hold(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The phone's address: the peer's own unless that is a proxy of ours. An entry that is no address ends the list:
    /// then the proxy before it stands for whoever is behind.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut origin = peer;
        if !self.hold(peer) {
            return origin;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let entries = lines
            .iter()
            .rev()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.rsplit(','));
        for entry in entries {
            let Some(ip) = address(entry.trim()) else {
                break;
            };
            origin = ip.to_canonical();
            if !self.hold(origin) {
                break;
            }
        }
        origin
    }
}

/// An address, as some proxies write it also with its port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, lines: &[&str]) -> String {
        let proxies: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8::/64"].map(|net| net.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = Proxies::from(proxies.as_slice());
        proxies.origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_proxy_of_ours_is_believed() {
        assert_eq!(origin("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        assert_eq!(origin("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(origin("2001:db8::1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(
            Proxies::default().origin([10, 0, 0, 1].into(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn what_a_client_wrote_itself_counts_for_nothing() {
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(origin("10.0.0.1", &[]), "10.0.0.1");
    }
}
