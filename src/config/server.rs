//! Section `[server]`: listeners, data directory, threads. It is here and not in the server's room because the
//! composition root reads the whole configuration, which must not read the root in turn.

use std::{net::SocketAddr, path::PathBuf, thread, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::span;

const THREADS_MAX: usize = 256;

/// Section `[server]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where phones connect; port 0 picks one.
    pub phones: SocketAddr,
    /// Where operators connect; port 0 picks one.
    pub operators: SocketAddr,
    /// Everything on disk lies under it.
    pub data: PathBuf,
    /// Networks whose `X-Forwarded-For` is believed on the phones' listener.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that serve phones; 0 is one for each processor.
    pub threads: usize,
    /// How long requests under way may take to finish after a stop was asked for.
    #[serde(with = "span")]
    pub grace: Duration,
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
        }
    }
}

impl ServerConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// The key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.threads > THREADS_MAX {
            return Err((
                "threads",
                format!("must be at most {THREADS_MAX}; 0 is one for each processor"),
            ));
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
    #[must_use]
    pub fn phone_threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}
