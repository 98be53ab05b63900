//! The client's address of a request that passed trusted proxies.
//!
//! Each proxy appends the address of its peer to `X-Forwarded-For`. The list is therefore read from its end, skipping the
//! proxies that the configuration names. The first other address is the client's. The client may have forged all entries
//! before it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the trusted proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl From<&[IpNet]> for Proxies {
    fn from(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }
}

impl Proxies {
    fn contain(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The client's address: that of the peer, unless the peer is a trusted proxy. An entry that is no address ends the
    /// list, and the proxy that appended it counts as the client.
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut origin = peer;
        if !self.contain(peer) {
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
            if !self.contain(origin) {
                break;
            }
        }
        origin
    }
}

/// Parses an address, which some proxies write with a port.
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
}
