//! TLS to the mail server: which certificates it trusts, and the handshake.

use std::{
    io::{Error, ErrorKind, Result},
    sync::Arc,
};

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::method_config::{InvalidKey, read_certificates},
    config::MailConfig,
};

/// TLS with a server whose certificate has the configured name.
pub(super) struct Tls {
    connector: TlsConnector,
    server: ServerName<'static>,
}

impl Tls {
    /// Trusts the system's certificates, and those of the file that `config` names.
    pub(super) fn open(config: &MailConfig) -> std::result::Result<Self, InvalidKey> {
        let server = ServerName::try_from(config.host.clone());
        let server = server
            .map_err(|_| ("host", "must be the name or address of the mail server".into()))?;
        let failed = |why| ("ca_file", why);
        let ours = match &config.ca_file {
            Some(path) => read_certificates(path, certificates).map_err(failed)?,
            None => Vec::new(),
        };
        let no_trust = |error| failed(format!("no certificates to trust: {error}"));
        let provider = Arc::new(default_provider());
        let verifier =
            Verifier::new_with_extra_roots(ours, Arc::clone(&provider)).map_err(no_trust)?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(no_trust)?
            // The library's word for a verifier other than its own. This one checks certificates as the system does.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(tls)), server })
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        self.connector.connect(self.server.clone(), stream).await
    }
}

/// Whether TLS refused the server's certificate or messages.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidData
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}
