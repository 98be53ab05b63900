//! Which connections a listener holds: limited in all on one socket, and for one network on all sockets.
//!
//! A network is what [`limits::network_of`] says. Trusted proxies and load balancers open connections for many networks, so
//! the limit of one network does not apply to theirs. A load balancer that speaks the PROXY protocol names the client's
//! network, which then counts.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use ipnet::IpNet;

use crate::{limits, lock::lock};

/// The limits of one listener's connections. Clones share the count of each network.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The most connections of one socket.
    pub(in crate::http) connections_max: usize,
    /// The most connections of one network, on all sockets.
    of_network_max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many connections each network has. A network without any has no entry.
    networks: Mutex<HashMap<IpAddr, usize>>,
    /// The load balancers that speak the PROXY protocol.
    balancers: Vec<IpNet>,
    is_reported: AtomicBool,
}

/// The connection is one more than the listener holds, in all or of one network. It is closed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many connections")]
pub struct TooManyConnections;

/// A connection that counts for its network until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Counted {
    network: IpAddr,
    shared: Arc<Shared>,
}

impl Admission {
    /// At most `connections_max` connections of one socket, from wherever they come.
    pub fn of_socket(connections_max: usize) -> Self {
        Self { connections_max, of_network_max: usize::MAX, shared: Arc::default() }
    }

    /// At most `connections_max` connections of one socket, and `of_network_max` of one network on all sockets. Connections from
    /// `balancers` begin with a header of the PROXY protocol.
    pub fn per_network(connections_max: usize, of_network_max: usize, balancers: &[IpNet]) -> Self {
        let balancers = balancers.to_vec();
        let shared = Arc::new(Shared { balancers, ..Shared::default() });
        Self { connections_max, of_network_max, shared }
    }

    /// Whether the peer speaks the PROXY protocol.
    pub(in crate::http) fn is_balancer(&self, peer: IpAddr) -> bool {
        self.shared.balancers.iter().any(|network| network.contains(&peer))
    }

    /// Counts a connection of the client at `ip`.
    ///
    /// # Errors
    /// If its network has as many as it may have.
    pub(in crate::http) fn count(&self, ip: IpAddr) -> Result<Counted, TooManyConnections> {
        let network = limits::network_of(ip);
        let mut networks = lock(&self.shared.networks);
        let open = networks.entry(network).or_default();
        if *open >= self.of_network_max {
            return Err(TooManyConnections);
        }
        *open += 1;
        Ok(Counted { network, shared: Arc::clone(&self.shared) })
    }

    /// Logs that a load balancer sent no header, or a bad one: once for all sockets, and without the address.
    pub(in crate::http) fn report_header(&self) {
        if !self.shared.is_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a connection from a network in server.proxy_protocol_from was closed, because it did not begin with a header of \
                 the PROXY protocol, version 2. Let the load balancer send one, such as haproxy with send-proxy-v2, or remove its \
                 network. This is logged once"
            );
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut networks = lock(&self.shared.networks);
        if let Some(open) = networks.get_mut(&self.network) {
            *open -= 1;
            if *open == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_others_are_not_affected() {
        let admission = Admission::per_network(100, 2, &[]);
        let other_socket = admission.clone();
        let count = |admission: &Admission, ip: &str| admission.count(ip.parse().unwrap());
        let first = count(&admission, "2001:db8:1::1").unwrap();
        let second = count(&other_socket, "2001:db8:1:ffff::2").unwrap();
        assert!(count(&admission, "2001:db8:1:2::3").is_err());
        let other = count(&admission, "2001:db8:2::1").unwrap();
        drop(second);
        let third = count(&admission, "2001:db8:1:2::3").unwrap();
        drop((first, third, other));
        assert!(lock(&admission.shared.networks).is_empty());
    }

    #[test]
    fn a_refused_network_leaves_no_entry() {
        let admission = Admission::per_network(100, 1, &[]);
        let held = admission.count([192, 0, 2, 1].into()).unwrap();
        assert!(admission.count([192, 0, 2, 1].into()).is_err());
        drop(held);
        assert!(lock(&admission.shared.networks).is_empty());
    }
}
