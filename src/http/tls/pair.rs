//! A certificate and its key, as two PEM files hold them, and what may be wrong with them.

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    crypto::KeyProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, files};

/// Permission bits that a key must not have: whoever can change the file, or is neither its owner nor of its group. Groups may
/// read: systems share keys so, such as Debian's `ssl-cert` and the volumes of Kubernetes.
const KEY_MODE_REFUSED: u32 = 0o027;

/// What is wrong with one file or with both, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct UnusablePair(Vec<UnusableFile>);

#[derive(Debug, PartialEq, Eq)]
struct UnusableFile {
    /// The key of the section `[tls]` that names the file.
    key: &'static str,
    /// The file, and what is wrong with it.
    why: String,
}

impl UnusablePair {
    /// The key that names each file with its section, and what is wrong with the file.
    pub fn faults(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|UnusableFile { key, why }| (format!("tls.{key}"), why))
    }
}

impl fmt::Display for UnusablePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, UnusableFile { key, why }) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "; " };
            write!(f, "{before}tls.{key}: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnusablePair {}

/// A certificate that can be served now.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// When clients begin to refuse the certificate.
    pub(super) expires_at: Timestamp,
}

impl Pair {
    /// Reads both files. `now` is the machine's wall clock: clients compare the certificate with theirs.
    ///
    /// # Errors
    /// If a file cannot be read or used, if the two do not belong together, or if the certificate is not valid at `now`.
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        keys: &dyn KeyProvider,
        now: Timestamp,
    ) -> Result<Self, UnusablePair> {
        let of_certificate = |why| UnusableFile {
            key: "certificate",
            why: format!("{} {why}", certificate.display()),
        };
        let of_key = |why| UnusableFile { key: "key", why: format!("{} {why}", key.display()) };
        let chain = read_chain(certificate, now).map_err(of_certificate);
        let private = read_key(key).map_err(of_key);
        let ((chain, expires_at), private) = match (chain, private) {
            (Ok(chain), Ok(private)) => (chain, private),
            (chain, private) => {
                let faults = chain.err().into_iter().chain(private.err());
                return Err(UnusablePair(faults.collect()));
            }
        };
        let certified = certify(chain, private, keys, certificate);
        let certified = certified.map_err(|why| UnusablePair(vec![of_key(why)]))?;
        Ok(Self { certified: Arc::new(certified), expires_at })
    }
}

/// The certificates of a file, from the server's to the last issuer's, and when the first one expires.
fn read_chain(
    path: &Path,
    now: Timestamp,
) -> Result<(Vec<CertificateDer<'static>>, Timestamp), String> {
    let pem = files::read_small(path).map_err(|error| unreadable(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    // The parser's error quotes lines of the file, which may be those of a key.
    let chain = chain.map_err(|_| "is damaged: it is no PEM file; copy it again")?;
    if chain.is_empty() {
        return Err(
            "contains no PEM certificate; name the file with the server's certificate and then its issuers'".into(),
        );
    }
    let mut parsed = Vec::new();
    for (at, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| {
            format!("is damaged: certificate {} in it cannot be read; copy it again", at + 1)
        })?;
        parsed.push(certificate);
    }
    for (at, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
            return Err(format!(
                "has certificates in a wrong order: number {} was not issued by number {}; put the server's certificate first, then \
                 its issuer's, then the issuer's of that",
                at + 1,
                at + 2
            ));
        }
    }
    let validity = parsed[0].validity();
    let [from, until] =
        [validity.not_before, validity.not_after].map(|time| instant(time.timestamp()));
    if now < from {
        return Err(format!(
            "has a certificate that is valid from {from} on, and the machine's clock says {now}; correct the clock or take another \
             certificate"
        ));
    }
    if until < now {
        return Err(format!(
            "has a certificate that expired at {until}, and the machine's clock says {now}; renew the certificate or correct the clock"
        ));
    }
    drop(parsed);
    Ok((chain, until))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    // First, because it takes a regular file only: nobody should be told to change the mode of a device.
    let pem = Zeroizing::new(files::read_small(path).map_err(|error| unreadable(&error))?);
    let mode = files::mode_if_open_to_others(path).map_err(|error| unreadable(&error))?;
    if let Some(mode) = mode.filter(|mode| mode & KEY_MODE_REFUSED != 0) {
        let shown = path.display();
        return Err(format!(
            "has mode {mode:03o}, which lets others read or change the key; run: chmod 600 {shown}"
        ));
    }
    let is_encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|part| part == *mark));
    if is_encrypted {
        return Err(
            "holds a key with a passphrase, which nobody types at a start; write it without one: openssl pkey -in FILE -out NEW".into(),
        );
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            Err("contains no PEM private key; name the file with the key of tls.certificate".into())
        }
        // As above.
        Err(_) => Err("is damaged: it is no PEM file; copy it again".into()),
    }
}

/// The chain with its key, if they belong together.
fn certify(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    keys: &dyn KeyProvider,
    certificate: &Path,
) -> Result<CertifiedKey, String> {
    let signing = keys.load_private_key(private).map_err(|_| {
        "holds a key of another kind, or a damaged one; take RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519"
    })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(format!(
            "is not the key of the first certificate in {}; take both files of one renewal",
            certificate.display()
        )),
        Err(_) => Err(format!(
            "does not fit the first certificate in {}, which is no certificate of a server (X.509 version 3)",
            certificate.display()
        )),
    }
}

/// What a certificate says, as an instant. One before 1970 counts as 1970.
fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn unreadable(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the server's user read it, and enter its directories"
        }
        _ => "name a file that exists",
    };
    format!("cannot be read: {error}; {remedy}")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use rustls::crypto::aws_lc_rs::default_provider;
    use tempfile::TempDir;

    use super::*;

    /// 2026-11-29, between the validity of [`Authority::certificate`].
    const NOW: Timestamp = Timestamp::from_secs(1_795_910_400);

    struct Authority {
        folder: TempDir,
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, "authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let pem = params.self_signed(&key).unwrap().pem();
            let issuer = Issuer::new(params, key);
            Self { folder: tempfile::tempdir().unwrap(), issuer, pem }
        }

        /// A certificate that is valid in the year 2026.
        fn certificate(&self, key: &KeyPair) -> String {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2026, 1, 1);
            params.not_after = date_time_ymd(2027, 1, 1);
            params.signed_by(key, &self.issuer).unwrap().pem()
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        }

        fn read(&self, certificate: &str, key: &str, now: Timestamp) -> Result<Pair, String> {
            let [certificate, key] = [("cert.pem", certificate), ("key.pem", key)]
                .map(|(name, text)| self.file(name, text));
            read(&certificate, &key, now)
                .map_err(|error| error.replace(&format!("{}/", self.folder.path().display()), ""))
        }
    }

    fn read(certificate: &Path, key: &Path, now: Timestamp) -> Result<Pair, String> {
        let keys = default_provider().key_provider;
        Pair::read(certificate, key, keys, now).map_err(|error| error.to_string())
    }

    #[test]
    fn a_chain_with_its_key_can_be_served_until_it_expires() {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let chain = format!("{}{}", authority.certificate(&key), authority.pem);
        for certificate in [authority.certificate(&key), format!("words before\n{chain}")] {
            let pair = authority.read(&certificate, &key.serialize_pem(), NOW).unwrap();
            assert_eq!(pair.expires_at, "2027-01-01T00:00:00Z".parse().unwrap());
        }
        // A file with everything in it, as some tools write.
        let all = authority.file("all.pem", &format!("{}{chain}", key.serialize_pem()));
        assert_eq!(read(&all, &all, NOW).unwrap().certified.cert.len(), 2);
    }

    #[test]
    fn each_mistake_is_named_with_its_file_and_a_remedy() {
        let authority = Authority::new();
        let [key, other] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let (certificate, ca) = (authority.certificate(&key), &authority.pem);
        let (pem, other) = (key.serialize_pem(), other.serialize_pem());
        let wrong_order = format!("{ca}{certificate}");
        let damaged = certificate.replacen("MII", "MI!", 1);
        let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let of_old_openssl = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n";
        let of_no_kind = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (certificate, key, said) in [
            ("", &*pem, "tls.certificate: cert.pem contains no PEM certificate; name the file"),
            ("", "", "tls.certificate: cert.pem contains no PEM certificate; name the file"),
            (&pem, &pem, "tls.certificate: cert.pem contains no PEM certificate; name the file"),
            (
                &damaged,
                &pem,
                "tls.certificate: cert.pem is damaged: it is no PEM file; copy it again",
            ),
            (
                no_x509,
                &pem,
                "tls.certificate: cert.pem is damaged: certificate 1 in it cannot be read",
            ),
            (
                &wrong_order,
                &pem,
                "tls.certificate: cert.pem has certificates in a wrong order: number 1 was not issued by number 2; put",
            ),
            (&certificate, "", "tls.key: key.pem contains no PEM private key; name the file"),
            (&certificate, &certificate, "tls.key: key.pem contains no PEM private key; name"),
            (&certificate, &encrypted, "tls.key: key.pem holds a key with a passphrase"),
            (&certificate, of_old_openssl, "tls.key: key.pem holds a key with a passphrase"),
            (&certificate, of_no_kind, "tls.key: key.pem holds a key of another kind"),
            (&certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n", "tls.key: key.pem is damaged"),
            (
                &certificate,
                &other,
                "tls.key: key.pem is not the key of the first certificate in cert.pem; take both files of one",
            ),
        ] {
            let error = authority.read(certificate, key, NOW).unwrap_err();
            assert!(error.starts_with(said), "{error}");
            assert!(!error.contains("AAAA") && !error.contains("MI!"), "{error}");
        }
    }

    #[test]
    fn a_certificate_that_clients_would_refuse_today_is_refused() {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let (certificate, pem) = (authority.certificate(&key), key.serialize_pem());
        for (now, said) in [
            (
                "2025-12-31T23:59:59Z",
                "tls.certificate: cert.pem has a certificate that is valid from 2026-01-01T00:00:00.000000Z on, and the machine's \
                 clock says 2025-12-31T23:59:59.000000Z; correct the clock or take another certificate",
            ),
            (
                "2027-01-01T00:00:01Z",
                "tls.certificate: cert.pem has a certificate that expired at 2027-01-01T00:00:00.000000Z, and the machine's clock \
                 says 2027-01-01T00:00:01.000000Z; renew the certificate or correct the clock",
            ),
        ] {
            let error = authority.read(&certificate, &pem, now.parse().unwrap()).unwrap_err();
            assert_eq!(error, said);
        }
    }

    #[test]
    fn files_that_cannot_be_read_and_keys_that_anybody_can_are_refused() {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let certificate = authority.file("cert.pem", &authority.certificate(&key));
        let missing = authority.folder.path().join("missing.pem");
        let key = authority.file("key.pem", &key.serialize_pem());
        let why = "cannot be read: No such file or directory (os error 2); name a file that exists";
        for (certificate, key, name) in
            [(&missing, &key, "certificate"), (&certificate, &missing, "key")]
        {
            let error = read(certificate, key, NOW).unwrap_err();
            assert_eq!(error, format!("tls.{name}: {} {why}", missing.display()));
        }
        let both = read(&missing, &missing, NOW).unwrap_err();
        let shown = missing.display();
        assert_eq!(both, format!("tls.certificate: {shown} {why}; tls.key: {shown} {why}"));
        for (mode, is_refused) in [
            (0o400, false),
            (0o600, false),
            (0o640, false),
            (0o660, true),
            (0o644, true),
            (0o604, true),
        ] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let read = read(&certificate, &key, NOW);
            assert_eq!(read.is_err(), is_refused, "{mode:o}");
            if let Err(error) = read {
                let shown = key.display();
                let said = format!(
                    "has mode {mode:03o}, which lets others read or change the key; run: chmod 600 {shown}"
                );
                assert_eq!(error, format!("tls.key: {shown} {said}"));
            }
        }
    }
}
