//! Which part of the process's descriptors connections may hold.
//!
//! Strangers open connections, so connections must not take the descriptors that the log, the keys and the audit log need at
//! the change of the hour. Each listening socket therefore gets a limit at the start, and closes what exceeds it. No file is
//! opened ahead, and no opening of a file is tried again: the sum of all limits fits the limit of the process.

use std::path::Path;

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit};

use crate::{config::ServerConfig, files, http::connection::admission::Admission, limits};

/// The process's open descriptors, on Linux.
const OPEN: &str = "/proc/self/fd";
/// What the runtime of a listening socket opens later.
const DESCRIPTORS_OF_RUNTIME: usize = 4;

/// The most connections of each listening socket, and of one network on all sockets of the phones' listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionLimits {
    pub(super) phones: usize,
    pub(super) operators: usize,
    of_network: usize,
}

impl ConnectionLimits {
    /// Of this process, once its files are open, with `sockets` sockets of the phones' listener.
    ///
    /// # Errors
    /// If the limit of open files leaves none.
    pub(super) fn of_process(sockets: usize) -> anyhow::Result<Self> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let open =
            files::names(Path::new(OPEN)).context(OPEN)?.len() + DESCRIPTORS_OF_RUNTIME * sockets;
        let Some(limits) = Self::within(limit, open, sockets) else {
            anyhow::bail!(
                "the limit of open files is {limit}, {open} are open, and too few are left for connections; raise it with \
                 `ulimit -n` or LimitNOFILE= in the systemd unit"
            );
        };
        let connections = limits.phones * sockets;
        if connections < limits::CONNECTIONS_FEW {
            tracing::warn!(
                limit,
                connections,
                "the limit of open files is low, so the phones' listener holds few connections; raise it with `ulimit -n` or \
                 LimitNOFILE= in the systemd unit"
            );
        }
        Ok(limits)
    }

    /// The limits of the phones' listener and of the operators'.
    pub(super) fn admissions(&self, config: &ServerConfig) -> (Admission, Admission) {
        let of_network = match config.connections_per_network {
            0 => self.of_network,
            configured => configured,
        };
        let balancers = &config.proxy_protocol_from;
        let phones = Admission::per_network(self.phones, of_network, balancers);
        (phones, Admission::of_socket(self.operators))
    }

    /// None if some listener would get no connection.
    fn within(limit: usize, open: usize, sockets: usize) -> Option<Self> {
        let free = limit.saturating_sub(open);
        let reserved = limits::DESCRIPTORS_RESERVED.min(free / 3 * 2);
        if reserved < limits::DESCRIPTORS_LEAST {
            return None;
        }
        let connections = free - reserved;
        let operators = (connections / 4).min(limits::CONNECTIONS_MAX);
        let phones = ((connections - operators) / sockets).min(limits::CONNECTIONS_MAX);
        let of_network = (phones * sockets / limits::CONNECTIONS_OF_NETWORK_DIVISOR).max(1);
        (operators > 0 && phones > 0).then_some(Self { phones, operators, of_network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_take_what_is_reserved() {
        for limit in (0..3_000).chain([65_536, 1 << 20, usize::MAX]) {
            for (open, sockets) in [(36, 2), (30, 1), (200, 64)] {
                let Some(limits) = ConnectionLimits::within(limit, open, sockets) else {
                    assert!(limit < open + 3 * 4 * sockets, "{limit} are enough");
                    continue;
                };
                let left = limit - open - limits.operators - limits.phones * sockets;
                let free = limit - open;
                assert!(left >= limits::DESCRIPTORS_RESERVED.min(free / 3 * 2), "{limit}: {left}");
                assert!(limits.phones.max(limits.operators) <= limits::CONNECTIONS_MAX);
                let all = limits.phones * sockets;
                assert!((1..=all.div_ceil(4)).contains(&limits.of_network), "{limit}");
            }
        }
        let plenty = ConnectionLimits::within(1 << 20, 40, 2).unwrap();
        assert_eq!(
            (plenty.phones, plenty.operators, plenty.of_network),
            (limits::CONNECTIONS_MAX, limits::CONNECTIONS_MAX, limits::CONNECTIONS_MAX / 2)
        );
    }
}
