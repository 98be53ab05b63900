//! Certificates for the proxies, for the server itself, and for their clients.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use reqwest::Certificate;

/// Files with the certificates of an authority, and with a certificate and key for `localhost`.
pub(crate) struct Authority {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Certificate and key of an operator, as one text.
    pub(crate) operator: String,
    /// The same of somebody whom another authority knows.
    pub(crate) stranger: String,
    issuer: Issuer<'static, KeyPair>,
}

fn issuer(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Certificate and key.
fn leaf(
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

impl Authority {
    pub(crate) fn new(folder: &Path) -> Self {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            write(&path, text);
            path
        };
        let (ca, ours) = issuer("ours");
        let (_, other) = issuer("other");
        let (cert, key) = leaf("localhost", ServerAuth, &ours);
        let both = |(cert, key): (String, String)| cert + &key;
        Self {
            ca: file("ca.pem", &ca),
            cert: file("cert.pem", &cert),
            key: file("key.pem", &key),
            operator: both(leaf("operator", ClientAuth, &ours)),
            stranger: both(leaf("stranger", ClientAuth, &other)),
            issuer: ours,
        }
    }

    /// Another certificate for `localhost`, with its key.
    pub(crate) fn renewed(&self) -> (String, String) {
        leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth, &self.issuer)
    }

    /// The authority's certificate.
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(&fs::read(&self.ca).unwrap()).unwrap()
    }
}
