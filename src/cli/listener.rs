//! The listeners of a server, as commands name and find them.

use anyhow::anyhow;
use reqwest::StatusCode;

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
    const fn names(self) -> (&'static str, &'static str, u16) {
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

    const fn other(self) -> Self {
        match self {
            Self::Phones => Self::Operators,
            Self::Operators => Self::Phones,
        }
    }

    /// The URL of a listener by default.
    pub(super) fn example(self) -> String {
        format!("http://127.0.0.1:{}", self.names().2)
    }

    /// Why `server` did not answer, and what to do.
    pub(super) fn unanswered(
        self,
        server: &str,
        trust: &Trust,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> anyhow::Error {
        if let Some(refused) = trust.refusal(server, &error) {
            return anyhow!(refused);
        }
        let files = match self {
            Self::Phones => "",
            Self::Operators => " With --data DIR this command uses the files.",
        };
        let hint = trust.hint(server);
        anyhow::Error::from(error).context(format!(
            "no answer from {server}: is the server running?{files} For another address give --server, or --config with the server's \
             file. {hint}"
        ))
    }

    /// What to say if `server` has no such call.
    pub(super) fn mistaken(self, server: &str) -> String {
        let ((wanted, key, port), (other, ..)) = (self.names(), self.other().names());
        format!(
            "{server} is not the {wanted} listener but the {other}; give --server the address in {key} (port {port} by default)"
        )
    }

    /// What to say if `server` answers with something else than a problem. `redirect` is the server that it redirects to.
    pub(super) fn foreign(
        self,
        server: &str,
        status: StatusCode,
        redirect: impl FnOnce() -> String,
    ) -> String {
        if status.is_redirection() {
            return format!(
                "{server} answered {status} and names {}. No redirect is followed: give --server the address of dispatchd itself",
                redirect()
            );
        }
        let (wanted, key, port) = self.names();
        format!(
            "{server} answered {status}, and not as the {wanted} listener of this version does; give --server the address in {key} \
             (port {port} by default)"
        )
    }
}
