//! Section `[cluster]` of the configuration.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::system::uname;
use serde::{Deserialize, Serialize};

use crate::{
    clock::span,
    files,
    host::Host,
    limits,
    operators::is_node_name,
    shared_log::{EngineError, etcd},
};

/// Section `[cluster]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The client URLs of the etcd members. Empty: this machine shares its directory with no other.
    pub engine: Vec<String>,
    /// This node's name. Empty: the host name.
    pub node: String,
    /// The origin at which other members reach this node's operators' listener. Empty: made of the listener's address.
    pub address: String,
    /// How this node checks that it is current.
    pub fence: Fence,
    /// How long a request waits until this node is known to be current.
    #[serde(with = "span")]
    pub fence_timeout: Duration,
    /// What the keys in etcd begin with.
    pub prefix: String,
    /// A PEM file: who vouches for the etcd members' certificates. Empty: etcd speaks no TLS.
    pub engine_ca: PathBuf,
    /// A PEM file: this node's certificate for etcd, and its issuers. Empty: etcd asks for none.
    pub engine_certificate: PathBuf,
    /// A PEM file: the key of that certificate.
    pub engine_key: PathBuf,
    /// A PEM file: who vouches for the other members' certificates, besides the system's authorities.
    pub members_ca: PathBuf,
}

/// How a node finds the newest head of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fence {
    /// A read where every etcd member has the fixes of stale reads, otherwise a write.
    #[default]
    Auto,
    /// A linearizable read.
    Read,
    /// A transaction that writes nothing.
    Write,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Vec::new(),
            node: String::new(),
            address: String::new(),
            fence: Fence::default(),
            fence_timeout: limits::FENCE_TIMEOUT,
            prefix: "dispatchd/".to_owned(),
            engine_ca: PathBuf::new(),
            engine_certificate: PathBuf::new(),
            engine_key: PathBuf::new(),
            members_ca: PathBuf::new(),
        }
    }
}

impl Config {
    /// Whether this machine shares its directory with others.
    pub const fn is_on(&self) -> bool {
        !self.engine.is_empty()
    }

    /// Checks the values. `operators` is the address of the operators' listener. The error is the key at fault and what it may be.
    ///
    /// # Errors
    /// For the first key that cannot be used. Files are read later, by [`Self::etcd`].
    pub fn validate(&self, operators: SocketAddr) -> Result<(), (&'static str, String)> {
        self.check_engine()?;
        self.check_tls()?;
        if !self.node.is_empty() && !is_node_name(&self.node) {
            let most = limits::CLUSTER_NODE_NAME_BYTES_MAX;
            let why = format!("must be 1 to {most} letters, digits, '.', '_' and '-'");
            return Err(("node", why));
        }
        if !self.address.is_empty() && origin(&self.address).is_none() {
            let why = "must be an origin, such as \"http://10.0.0.1:8081\"";
            return Err(("address", why.to_owned()));
        }
        if !self.prefix.ends_with('/') {
            return Err(("prefix", "must end with '/', such as \"dispatchd/\"".to_owned()));
        }
        let (least, most) = (limits::FENCE_TIMEOUT_MIN, limits::FENCE_TIMEOUT_MAX);
        if !(least..=most).contains(&self.fence_timeout) {
            let why = format!(
                "must be from {} to {}",
                humantime::format_duration(least),
                humantime::format_duration(most)
            );
            return Err(("fence_timeout", why));
        }
        if self.is_on() {
            self.node_name().map_err(|why| ("node", why))?;
            let is_reachable = !operators.ip().is_unspecified() && operators.port() != 0;
            if self.address.is_empty() && !is_reachable {
                let why = format!(
                    "is missing: other members cannot connect to server.operators = \"{operators}\"; name the origin at which \
                     they reach this node, such as \"http://10.0.0.1:8081\""
                );
                return Err(("address", why));
            }
        }
        Ok(())
    }

    fn check_engine(&self) -> Result<(), (&'static str, String)> {
        let mut seen = BTreeSet::new();
        for url in &self.engine {
            let has_port = origin(url).is_some_and(|(_, host)| {
                host.rsplit_once(':').is_some_and(|(_, port)| is_port(port))
            });
            if !has_port {
                let why = format!(
                    "has {url:?}, which is no client URL of an etcd member; expected one such as \"http://10.0.0.1:2379\""
                );
                return Err(("engine", why));
            }
            if !seen.insert(url.trim_end_matches('/').to_ascii_lowercase()) {
                return Err(("engine", format!("names {url:?} twice")));
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), (&'static str, String)> {
        let is_https = |url: &String| url.starts_with("https://");
        let (is_some, is_each) =
            (self.engine.iter().any(is_https), self.engine.iter().all(is_https));
        let has_ca = !is_empty(&self.engine_ca);
        if is_some && !is_each {
            let why = "has http:// and https:// URLs: all etcd members must speak TLS, or none";
            return Err(("engine", why.to_owned()));
        }
        if is_some && !has_ca {
            let why = "is missing: https:// URLs in cluster.engine take the file of who vouches for etcd's certificates";
            return Err(("engine_ca", why.to_owned()));
        }
        if self.is_on() && !is_some && has_ca {
            let why = "needs https:// URLs in cluster.engine: etcd would be asked without TLS";
            return Err(("engine_ca", why.to_owned()));
        }
        match (is_empty(&self.engine_certificate), is_empty(&self.engine_key)) {
            (true, false) => {
                Err(("engine_certificate", "is missing; cluster.engine_key takes both".into()))
            }
            (false, true) => {
                Err(("engine_key", "is missing; cluster.engine_certificate takes both".into()))
            }
            (false, false) if !has_ca => {
                let why = "is missing; cluster.engine_certificate takes it";
                Err(("engine_ca", why.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// This node's name: the configured one, or the host name.
    ///
    /// # Errors
    /// Why the host name cannot be used, behind the key's name.
    pub fn node_name(&self) -> Result<String, String> {
        if !self.node.is_empty() {
            return Ok(self.node.clone());
        }
        let name = uname().nodename().to_string_lossy().into_owned();
        if is_node_name(&name) {
            return Ok(name);
        }
        Err(format!("is missing: the host name {name:?} cannot name a node; set cluster.node"))
    }

    /// The origin at which other members reach this node, whose operators' listener is at `operators` and speaks TLS if `is_tls`.
    pub fn origin(&self, operators: SocketAddr, is_tls: bool) -> String {
        if !self.address.is_empty() {
            return self.address.trim_end_matches('/').to_owned();
        }
        let scheme = if is_tls { "https" } else { "http" };
        format!("{scheme}://{operators}")
    }

    /// Where the log is and how it is asked. Reads the files of TLS.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn etcd(&self) -> Result<etcd::Config, EngineError> {
        let mut config = etcd::Config::new(self.engine.clone(), self.prefix.clone());
        config.fence = match self.fence {
            Fence::Auto => etcd::Fence::Auto,
            Fence::Read => etcd::Fence::Read,
            Fence::Write => etcd::Fence::Write,
        };
        if !is_empty(&self.engine_ca) {
            let authority = read("engine_ca", &self.engine_ca)?;
            let identity = match is_empty(&self.engine_certificate) {
                true => None,
                false => Some((
                    read("engine_certificate", &self.engine_certificate)?,
                    read("engine_key", &self.engine_key)?,
                )),
            };
            config.tls = Some(etcd::Tls { authority, identity });
        }
        Ok(config)
    }
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, EngineError> {
    files::read_small(file).map_err(|error| {
        let file = file.display();
        EngineError::Refused(format!("cluster.{key}: {file} cannot be read: {error}"))
    })
}

/// Whether other members could reach a node at this address: an origin.
pub fn is_member_address(text: &str) -> bool {
    let is_short = text.len() <= limits::CLUSTER_ADDRESS_BYTES_MAX;
    is_short && origin(text).is_some() && !text.ends_with('/')
}

/// Scheme and authority of an origin: `http://HOST`, `https://HOST:PORT`, with or without a slash at the end.
fn origin(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let is_known = matches!(scheme, "http" | "https");
    (is_known && Host::of(authority).is_some()).then_some((scheme, authority))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 8081))
    }

    fn good() -> Config {
        let engine = vec!["http://10.0.0.1:2379".to_owned(), "http://[::1]:2379/".to_owned()];
        Config { engine, node: "a".to_owned(), ..Config::default() }
    }

    #[test]
    fn an_error_names_its_key() {
        assert_eq!(good().validate(operators()), Ok(()));
        assert_eq!(Config::default().validate(operators()), Ok(()));
        let https = || Config {
            engine: vec!["https://etcd:2379".to_owned()],
            engine_ca: "ca.pem".into(),
            ..good()
        };
        assert_eq!(https().validate(operators()), Ok(()));
        let engine = |url: &str| Config { engine: vec![url.to_owned()], ..good() };
        for (key, config) in [
            ("engine", engine("10.0.0.1:2379")),
            ("engine", engine("http://10.0.0.1")),
            ("engine", engine("http://10.0.0.1:0")),
            ("engine", engine("ftp://10.0.0.1:2379")),
            ("engine", engine("http://user@10.0.0.1:2379")),
            ("engine", engine("http://10.0.0.1:2379/v3")),
            (
                "engine",
                Config {
                    engine: [engine("http://a:1").engine, engine("http://A:1/").engine].concat(),
                    ..good()
                },
            ),
            ("engine", Config { engine: [https().engine, good().engine].concat(), ..https() }),
            ("engine_ca", Config { engine_ca: PathBuf::new(), ..https() }),
            ("engine_ca", Config { engine: good().engine, ..https() }),
            ("engine_key", Config { engine_certificate: "c".into(), ..https() }),
            ("engine_certificate", Config { engine_key: "k".into(), ..https() }),
            (
                "engine_ca",
                Config { engine_key: "k".into(), engine_certificate: "c".into(), ..good() },
            ),
            ("node", Config { node: "a b".to_owned(), ..good() }),
            ("node", Config { node: "n".repeat(57), ..good() }),
            ("address", Config { address: "10.0.0.1:8081".to_owned(), ..good() }),
            ("address", Config { address: "http://a/path".to_owned(), ..good() }),
            ("prefix", Config { prefix: "dispatchd".to_owned(), ..good() }),
            ("prefix", Config { prefix: String::new(), ..good() }),
            ("fence_timeout", Config { fence_timeout: Duration::from_millis(99), ..good() }),
            ("fence_timeout", Config { fence_timeout: Duration::from_secs(31), ..good() }),
        ] {
            let named = config.validate(operators()).map_err(|(named, _)| named);
            assert_eq!(named, Err(key), "{config:?}");
        }
    }

    #[test]
    fn a_node_without_an_address_listens_where_others_reach_it() {
        for listener in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:0"] {
            let listener = listener.parse().unwrap();
            assert_eq!(good().validate(listener).unwrap_err().0, "address", "{listener}");
            assert_eq!(Config::default().validate(listener), Ok(()), "{listener}");
            let named = Config { address: "https://a.example.org/".to_owned(), ..good() };
            assert_eq!(named.validate(listener), Ok(()), "{listener}");
            assert_eq!(named.origin(listener, false), "https://a.example.org");
        }
        assert_eq!(good().origin(operators(), false), "http://10.0.0.1:8081");
        assert_eq!(good().origin("[::1]:1".parse().unwrap(), true), "https://[::1]:1");
    }

    #[test]
    fn a_missing_file_of_tls_is_named_with_its_key() {
        let config = Config { engine_ca: "/no/such/ca.pem".into(), ..good() };
        let error = config.etcd().err().expect("there is no file").to_string();
        assert!(error.contains("cluster.engine_ca: /no/such/ca.pem"), "{error}");
    }
}
