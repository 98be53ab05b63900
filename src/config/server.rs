//! Section `[server]`: listeners, data directory, threads. It is here because `server` imports `config`, which therefore
//! cannot import `server`.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{clock::span, files::size, host::Host, limits};

const THREADS_MAX: usize = 256;

/// Section `[server]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where phones connect; port 0 picks a free one.
    #[serde(deserialize_with = "address")]
    pub phones: SocketAddr,
    /// Where operators connect; port 0 picks a free one.
    #[serde(deserialize_with = "address")]
    pub operators: SocketAddr,
    /// Everything on disk lies under it.
    pub data: PathBuf,
    /// Further names that `Host` may carry on the operators' listener.
    pub hosts: Vec<String>,
    /// Networks of the proxies that are believed about the client's address on the phones' listener.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Networks of load balancers, whose connections to the phones' listener begin with a header of the PROXY protocol.
    #[serde(deserialize_with = "networks")]
    pub proxy_protocol_from: Vec<IpNet>,
    /// Connections of one network to the phones' listener; 0 is a quarter of all.
    pub connections_per_network: usize,
    /// Threads that serve phones; 0 is one for each processor.
    pub threads: usize,
    /// How late a phones' thread may be with each request before it refuses lookups; 0 is never.
    #[serde(with = "span")]
    pub shed_after: Duration,
    /// How long requests under way may take to finish after a stop signal.
    #[serde(with = "span")]
    pub grace: Duration,
    /// Free space in bytes that is left to other programs on the disks of log and registry; at most a twentieth of a disk.
    #[serde(with = "size")]
    pub disk_reserve: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            phones: SocketAddr::from(([127, 0, 0, 1], 8080)),
            operators: SocketAddr::from(([127, 0, 0, 1], 8081)),
            data: PathBuf::from("data"),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol_from: Vec::new(),
            connections_per_network: 0,
            threads: 0,
            shed_after: limits::SHED_AFTER,
            grace: Duration::from_secs(20),
            disk_reserve: limits::DISK_RESERVE_BYTES,
        }
    }
}

impl ServerConfig {
    /// Checks the values. The error is the key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.threads > THREADS_MAX {
            let why = format!("must be at most {THREADS_MAX}; 0 is one for each processor");
            return Err(("threads", why));
        }
        if let Some(host) = self.hosts.iter().find(|host| Host::configured(host).is_none()) {
            let why = format!(
                "has {host:?}, which is no host; each must be a name or an IP address, with or without a port, such as \
                 [\"dispatch-operators.example.org\"]"
            );
            return Err(("hosts", why));
        }
        if self.data.as_os_str().is_empty() {
            return Err(("data", "must name a directory".into()));
        }
        if self.phones == self.operators && self.phones.port() != 0 {
            return Err(("operators", "must differ from server.phones".into()));
        }
        Ok(())
    }

    /// Threads that serve phones, at least one.
    pub fn phone_threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| {
        D::Error::custom(
            "expected IP:port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"; a host name is not taken",
        )
    })
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: String| {
        network(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is no network; expected one such as \"10.0.0.0/8\", or an address such as \"10.0.0.1\""
            ))
        })
    };
    texts.into_iter().map(parse).collect()
}

/// A network, or an address as the network of itself. One of IPv4 addresses in IPv6 form becomes one of IPv4: the server knows
/// IPv4 clients by their IPv4 addresses.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    let IpNet::V6(v6) = network else {
        return Some(network);
    };
    match v6.addr().to_ipv4_mapped() {
        // A shorter prefix is more than the IPv4 addresses, and would hold none of them.
        Some(v4) => Ipv4Net::new(v4, v6.prefix_len().checked_sub(96)?).ok().map(IpNet::V4),
        None => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_and_a_mapped_network_is_one_of_ipv4() {
        for (text, is) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.0.0.1/128", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), is, "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "example.org",
            "10.0.0.1:80",
            "[::1]",
            "10.0.0.0/",
            "::ffff:0:0/95",
        ] {
            assert!(network(text).is_none(), "{text}");
        }
    }
}
