//! Which certificates a command trusts when it asks a server over https.

use std::{
    env, io,
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

use super::errors::UsageError;
use crate::files;

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

    /// Refuses `--ca` where it would do nothing: the server of the configuration has the certificate of the configuration.
    pub(super) fn refuse_unused(&self) -> Result<(), UsageError> {
        let why = "--ca takes --server: the server of the configuration must have the certificate that tls.certificate names";
        if self.ca.is_some() { Err(UsageError(why.to_owned())) } else { Ok(()) }
    }
}

/// Which certificate a server may have.
#[derive(Clone)]
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
            Self::Own(file) => {
                format!("Its certificate must be the first one in {}", file.display())
            }
        }
    }

    /// What is wrong with the certificate of `server`, and what to do, if that is why it did not answer.
    pub(super) fn refusal(
        &self,
        server: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Option<String> {
        let (why, to_do) = match tls_error(error)? {
            Error::InvalidCertificate(fault) => self.fault(fault),
            Error::InvalidMessage(_) => {
                let plain = server.replace("https:", "http:");
                return Some(format!(
                    "{server} does not speak TLS; give --server {plain}, or set tls.certificate of the server"
                ));
            }
            _ => return None,
        };
        Some(format!("the certificate of {server} {why}; {to_do}"))
    }

    /// What is wrong with a certificate, and what to do.
    fn fault(&self, fault: &CertificateError) -> (String, String) {
        use CertificateError as Fault;
        let renew = "renew tls.certificate of the server, or correct this machine's clock";
        let (why, to_do) = match (fault, self) {
            (Fault::ApplicationVerificationFailure, Self::Own(file)) => {
                let file = file.display();
                return (
                    format!("is not the first one in {file}"),
                    format!(
                        "another server may listen there. If {file} has just changed, wait a minute; then run `dispatchd config check`: \
                         the server does not serve a pair that does not fit"
                    ),
                );
            }
            (Fault::UnknownIssuer, _) => (
                "comes from an unknown authority",
                "name the authority's certificate with --ca FILE (DISPATCHD_CA)",
            ),
            (Fault::Expired | Fault::ExpiredContext { .. }, _) => {
                ("has expired by this machine's clock", renew)
            }
            (Fault::NotValidYet | Fault::NotValidYetContext { .. }, _) => {
                ("is not valid yet by this machine's clock", renew)
            }
            (Fault::NotValidForName | Fault::NotValidForNameContext { .. }, _) => {
                ("is for another name", "give --server a name that is in the certificate")
            }
            // A library reports certificates of authorities so, and offers no other name for them.
            (other, _) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
                "is an authority's, which names no server",
                "replace tls.certificate of the server by one with CA:FALSE",
            ),
            (other, _) => {
                return (
                    format!("is refused ({other})"),
                    "replace tls.certificate of the server".into(),
                );
            }
        };
        (why.to_owned(), to_do.to_owned())
    }
}

/// The error of TLS behind an error. The standard library's errors show what they wrap in a way of their own.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    files::read_small(file).with_context(|| format!("the certificates in {}", file.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_certificate_is_said_with_a_remedy() {
        let (named, own) = (Trust::Authorities(None), Trust::Own("cert.pem".into()));
        for (trust, fault, said, remedy) in [
            (&named, CertificateError::UnknownIssuer, "an unknown authority", "--ca FILE"),
            (&named, CertificateError::Expired, "has expired", "renew tls.certificate"),
            (&named, CertificateError::NotValidYet, "is not valid yet", "this machine's clock"),
            (&named, CertificateError::NotValidForName, "another name", "--server a name"),
            (&named, CertificateError::Revoked, "is refused", "replace tls.certificate"),
            (
                &own,
                CertificateError::ApplicationVerificationFailure,
                "is not the first one in cert.pem",
                "config check",
            ),
        ] {
            // As the library of HTTP wraps it.
            let error = Error::InvalidCertificate(fault.clone());
            let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
            let found = tls_error(&wrapped).expect("the error of TLS is found");
            assert_eq!(*found, Error::InvalidCertificate(fault.clone()));
            let (why, to_do) = trust.fault(&fault);
            assert!(why.contains(said) && to_do.contains(remedy), "{why}; {to_do}");
        }
        assert!(tls_error(&io::Error::other("no route")).is_none());
    }
}
