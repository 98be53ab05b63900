//! Which certificates a command trusts when it asks a server over https.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use reqwest::{Certificate, ClientBuilder};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

/// The variable that names a file of authorities.
const CA: &str = "DISPATCHD_CA";

/// Authorities beyond those of the system.
#[derive(Args)]
pub(super) struct Authorities {
    /// Certificates (PEM) that are trusted besides the system's, for a server at https [env: DISPATCHD_CA]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Authorities {
    /// The trust in a server that a URL names.
    pub(super) fn trust(&self) -> Trust {
        let named = || env::var_os(CA).filter(|file| !file.is_empty()).map(PathBuf::from);
        Trust::Authorities(self.ca.clone().or_else(named))
    }
}

/// Which certificate a server may have.
pub(super) enum Trust {
    /// One for the URL's name, from an authority that the system trusts or that is in the file.
    Authorities(Option<PathBuf>),
    /// The first certificate of this file, whatever names it has: the file is the server's own.
    Own(PathBuf),
}

impl Trust {
    /// Makes a client trust so.
    ///
    /// # Errors
    /// If a file cannot be read, or contains no certificate.
    pub(super) fn apply(&self, http: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        match self {
            Self::Authorities(None) => Ok(http),
            Self::Authorities(Some(file)) => {
                let authorities = Certificate::from_pem_bundle(&read(file)?).ok();
                let authorities = authorities.filter(|all| !all.is_empty());
                Ok(http.tls_certs_merge(authorities.ok_or_else(|| no_certificate(file))?))
            }
            Self::Own(file) => {
                let certificate = CertificateDer::from_pem_slice(&read(file)?);
                let certificate = certificate.map_err(|_| no_certificate(file))?;
                let own = OwnCertificate { certificate, provider: Arc::new(default_provider()) };
                Ok(http.tls_backend_preconfigured(own.into_config()?))
            }
        }
    }
}

impl Trust {
    /// What to look at if `server` does not answer.
    pub(super) fn hint(&self, server: &str) -> String {
        match self {
            _ if server.starts_with("http:") => "With tls.certificate it speaks https only".to_owned(),
            Self::Authorities(_) => {
                "It speaks https with tls.certificate, or behind a proxy; --ca names further authorities".to_owned()
            }
            Self::Own(file) => format!(
                "Its certificate must be the first one in {}. If that file has just changed, wait a minute; then run `dispatchd config \
                 check`: the server does not serve a pair that does not fit",
                file.display()
            ),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("the certificates in {}", file.display()))
}

fn no_certificate(file: &Path) -> anyhow::Error {
    anyhow!("{} contains no PEM certificate", file.display())
}

/// Takes one certificate. Its names and dates do not matter, since the file comes from the server's own configuration.
#[derive(Debug)]
struct OwnCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl OwnCertificate {
    fn into_config(self) -> anyhow::Result<ClientConfig> {
        Ok(ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            // The library's word for a verifier other than its own.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self))
            .with_no_client_auth())
    }
}

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *certificate == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
