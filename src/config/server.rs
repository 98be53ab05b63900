//! Section `[server]`: listeners, data directory, threads. It is here because `server` imports `config`, which therefore
//! cannot import `server`.

use std::{net::SocketAddr, path::PathBuf, thread, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{clock::span, files::size, limits};

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
    /// Networks whose `X-Forwarded-For` is believed on the phones' listener.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that serve phones; 0 is one for each processor.
    pub threads: usize,
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
            trusted_proxies: Vec::new(),
            threads: 0,
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
