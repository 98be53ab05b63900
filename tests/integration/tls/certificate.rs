//! The certificate and its files: mistakes at the start, and renewal while the server runs.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::*;
use crate::{
    harness::{dispatchd, run, wait_until},
    metrics::Scrape,
    recipes::authority::write,
};

/// The certificate that new connections get.
fn served(tls: &TlsServer) -> CertificateDer<'static> {
    let config = session::config(&tls.authority, &[b"http/1.1"]);
    Session::connect(&tls.phones(), &config).unwrap().certificate().clone()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_no_connection_is_lost() {
    let mut tls = TlsServer::start().await;
    let config = session::config(&tls.authority, &[b"http/1.1"]);
    let mut open = Session::connect(&tls.phones(), &config).unwrap();
    assert_eq!(open.ask().unwrap(), "HTTP/1.1 200 OK");
    let first = served(&tls);

    let (certificate, key) = tls.authority.renewed();
    write(&tls.authority.cert, &certificate);
    // Half of a renewal does not fit together, so it is not used.
    tls.server.signal("HUP");
    let refused = "the former certificate is served on";
    wait_until("half of a renewal is refused", || tls.server.output().contains(refused));
    assert_eq!(served(&tls), first);
    assert_eq!(open.ask().unwrap(), "HTTP/1.1 200 OK");

    write(&tls.authority.key, &key);
    tls.server.signal("HUP");
    wait_until("the renewed certificate is served", || served(&tls) == der(&certificate));
    assert_eq!(open.ask().unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(*open.certificate(), first);

    // What is wrong is said once for each change, and without a word of the files.
    let said = tls.server.output();
    let lines: Vec<_> = said.lines().filter(|line| line.contains(refused)).collect();
    let why =
        format!("is not the key of the first certificate in {}", tls.authority.cert.display());
    assert!(lines.len() == 1 && lines[0].contains(&why), "{said}");
    assert!(!said.contains("BEGIN"), "{said}");
    assert!(tls.server.stop().await.success());
}

#[tokio::test]
async fn files_are_looked_at_without_a_signal() {
    let tls = TlsServer::start().await;
    let (certificate, key) = tls.authority.renewed();
    write(&tls.authority.key, &key);
    write(&tls.authority.cert, &certificate);
    // Within a minute.
    wait_until("the renewed certificate is served", || served(&tls) == der(&certificate));
}

#[tokio::test]
async fn the_expiry_is_in_the_metrics() {
    let tls = TlsServer::start().await;
    let name = "tls_certificate_expiry_timestamp_seconds";
    let (_, certificate) = x509_parser::parse_x509_certificate(&served(&tls))
        .map(|(rest, it)| (rest, it.validity().not_after.timestamp()))
        .unwrap();
    assert_eq!(Scrape::of(&tls.server).await.value(name) as i64, certificate);
    let plain = Server::start().await;
    assert_eq!(Scrape::of(&plain).await.value(name), 0.0);
}

/// What `config check` and a start say, each with its exit code.
fn said(cert: &Path, key: &Path) -> [(Option<i32>, String); 2] {
    let folder = tempfile::tempdir().unwrap();
    [&["config", "check"][..], &["serve"]].map(|words| {
        let mut command = dispatchd();
        command
            .args(words)
            .env("DISPATCHD_SERVER__DATA", folder.path().join("data"))
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_TLS__CERTIFICATE", cert)
            .env("DISPATCHD_TLS__KEY", key);
        let output = run(&mut command);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    })
}

#[test]
fn a_start_and_a_check_refuse_what_cannot_be_served_with_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write(&path, text);
        path
    };
    let (Authority { cert, key, .. }, (_, other)) = (&authority, authority.renewed());
    let other = file("other.pem", &other);
    let missing = folder.path().join("missing.pem");
    let mut expired = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired_key = rcgen::KeyPair::generate().unwrap();
    let expired = file("expired.pem", &expired.self_signed(&expired_key).unwrap().pem());
    let expired_key = file("expired-key.pem", &expired_key.serialize_pem());
    for (cert, key, why) in [
        (
            &missing,
            key,
            format!("tls.certificate: {} cannot be read: No such file", missing.display()),
        ),
        (key, key, format!("tls.certificate: {} contains no PEM certificate", key.display())),
        (
            cert,
            &other,
            format!("tls.key: {} is not the key of the first certificate", other.display()),
        ),
        (
            &expired,
            &expired_key,
            format!(
                "tls.certificate: {} has a certificate that expired at 2020-01-01",
                expired.display()
            ),
        ),
    ] {
        for ((code, said), expected) in said(cert, key).into_iter().zip([64, 1]) {
            assert_eq!(code, Some(expected), "{said}");
            assert!(said.starts_with(&format!("dispatchd: {why}")), "{why} is not in {said}");
        }
    }
    // A path that is no configuration at all has the exit code of one.
    for (code, said) in said(cert, Path::new("")) {
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("tls.key is missing"), "{said}");
    }
}
