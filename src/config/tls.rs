//! Section `[tls]`: the certificate of the listeners, and which of them it is for. It is here for the reason of `[server]`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Section `[tls]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// A PEM file: the server's certificate, then its issuers. Empty: no listener speaks TLS.
    pub certificate: PathBuf,
    /// A PEM file with the certificate's key.
    pub key: PathBuf,
    /// The listeners that speak TLS.
    pub listeners: TlsListeners,
}

/// The listeners that speak TLS. The others speak plain HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsListeners {
    /// Both.
    #[default]
    Both,
    /// The phones' listener. Operators connect on this machine, or through a proxy.
    Phones,
    /// The operators' listener. Phones connect through a proxy.
    Operators,
}

impl TlsConfig {
    /// Checks the values. The error is the key at fault and what it may be. The files are read by the server.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        match (is_empty(&self.certificate), is_empty(&self.key)) {
            (true, false) => Err(("certificate", "is missing; tls.key takes both".into())),
            (false, true) => Err(("key", "is missing; tls.certificate takes both".into())),
            (true, true) if self.listeners != TlsListeners::default() => {
                let why = "takes tls.certificate and tls.key: without them no listener speaks TLS";
                Err(("listeners", why.into()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the phones' listener speaks TLS.
    pub fn is_for_phones(&self) -> bool {
        self.is_on() && self.listeners != TlsListeners::Operators
    }

    /// Whether the operators' listener speaks TLS.
    pub fn is_for_operators(&self) -> bool {
        self.is_on() && self.listeners != TlsListeners::Phones
    }

    /// Whether some listener speaks TLS.
    pub fn is_on(&self) -> bool {
        !is_empty(&self.certificate) && !is_empty(&self.key)
    }
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
