//! Where an etcd cluster is and how it is asked.

use std::time::Duration;

use crate::limits;

/// Which cluster holds the log.
#[derive(Clone)]
pub struct Config {
    /// The client URLs of its members, the preferred one first: `http://HOST:PORT`, or `https://` with [`Self::tls`].
    pub urls: Vec<String>,
    /// What the keys of the log begin with. One cluster can hold several logs.
    pub prefix: String,
    /// How the newest head is found.
    pub fence: Fence,
    /// Certificates and keys for `https://`.
    pub tls: Option<Tls>,
    /// How long one member may take for one try before the next is asked.
    pub try_timeout: Duration,
}

impl Config {
    /// Members at `urls` without TLS, keys that begin with `prefix`.
    #[must_use]
    pub fn new(urls: Vec<String>, prefix: String) -> Self {
        let try_timeout = limits::ETCD_TRY_TIMEOUT;
        Self { urls, prefix, fence: Fence::Auto, tls: None, try_timeout }
    }
}

/// PEM files for TLS with the members.
#[derive(Clone)]
pub struct Tls {
    /// The certificates of the authorities that signed the members' certificates.
    pub authority: Vec<u8>,
    /// This node's certificate with its chain, and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// How [`head`](crate::shared_log::SharedLog::head) finds the newest head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// By a read if a probe found that no member can answer it with stale data, otherwise by a write.
    Auto,
    /// By a linearizable read: the leader confirms to a majority that it leads.
    Read,
    /// By a transaction that changes nothing and goes through Raft's log. It takes about twice as long, and each member syncs it.
    Write,
}

/// What a probe found of an engine that does what is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How the newest head is found from now on: [`Fence::Read`] or [`Fence::Write`].
    pub fence: Fence,
    /// The members that answered, each by its URL and version.
    pub versions: Vec<(String, String)>,
    /// The members that did not, each by its URL and why.
    pub silent: Vec<(String, String)>,
}
