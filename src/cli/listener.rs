//! The listeners of a server, as commands name and find them.

use super::{
    config::ConfigFile,
    trust::{Authorities, Trust},
};
use crate::config::Config;

/// Which listener a command asks.
#[derive(Clone, Copy)]
pub(super) enum Listener {
    Phones,
    Operators,
}

impl Listener {
    /// Its name, its key, its port by default.
    pub(super) const fn names(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::Phones => ("phones'", "server.phones", 8080),
            Self::Operators => ("operators'", "server.operators", 8081),
        }
    }

    /// The URL of the server to ask, and which certificate it may have: the server at the URL `named`, or that of the configuration.
    ///
    /// # Errors
    /// If `authorities` were named for nothing, or the configuration cannot be used.
    pub(super) fn server(
        self,
        named: Option<String>,
        authorities: &Authorities,
        config: &ConfigFile,
    ) -> anyhow::Result<(String, Trust)> {
        match named {
            Some(server) => Ok((server, authorities.trust())),
            None => {
                authorities.refuse_unused()?;
                Ok(self.configured(&config.load()?))
            }
        }
    }

    /// The URL at which a server with this configuration listens, and the certificate that it has there.
    fn configured(self, config: &Config) -> (String, Trust) {
        let (address, has_tls) = match self {
            Self::Phones => (config.server.phones, config.tls.is_for_phones()),
            Self::Operators => (config.server.operators, config.tls.is_for_operators()),
        };
        match has_tls {
            true => (format!("https://{address}"), Trust::Own(config.tls.certificate.clone())),
            false => (format!("http://{address}"), Trust::Authorities(None)),
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Phones => Self::Operators,
            Self::Operators => Self::Phones,
        }
    }
}
