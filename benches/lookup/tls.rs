//! Lookups over TLS, compared with nginx that answers from its configuration (`-- --tls`).
//!
//! Both serve TLS 1.3 with the same certificate, and the client takes one cipher only. Both answers have about the same bytes. nginx is
//! Debian's, with one process; `tests/tools/debian/unpack` downloads it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
    version::TLS13,
};

use crate::{
    Amounts,
    load::Fleet,
    population,
    process::{Pair, Server, keep_off_servers},
    report,
    rounds::{LOOKUPS_PREPARED, Measurements},
};

/// Bytes of the head of nginx's answer.
const NGINX_HEAD_BYTES: usize = 160;

/// Registers the handles, measures both in turn, checks the log and prints the report.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&amounts.dir)?;
    let data = folder.path().join("os");
    println!("registering {} handles", amounts.handles);
    let population = population::register(&data, amounts.handles)?;
    keep_off_servers(amounts)?;
    let (pair, config) = certificate(folder.path())?;
    let logged_before = population::logged_lookups(&data)?;
    let each = LOOKUPS_PREPARED.div_ceil(amounts.connections);
    let lookups: Vec<_> =
        (0..amounts.connections).map(|number| population.lookups(number, each)).collect();

    let dispatchd = Server::dispatchd(&data, "os", false, Some(&pair), amounts)?;
    let mut ours = Fleet::connect(dispatchd.address, lookups, Some(&config))?;
    ours.ask_for(amounts.slice)?;
    let bytes = ours.answer_bytes();
    let nginx = nginx(folder.path(), &pair, bytes, amounts)?;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let mut theirs =
        Fleet::connect(nginx.address, vec![vec![request]; amounts.connections], Some(&config))?;
    theirs.ask_for(amounts.slice)?;
    println!("answers of dispatchd have {bytes} bytes, those of nginx {}", theirs.answer_bytes());

    let Measurements { hello: mut of_nginx, os: mut of_dispatchd, .. } = Measurements::default();
    for _ in 0..amounts.blocks * amounts.rounds {
        of_nginx.measure(&nginx, &mut theirs, amounts)?;
        of_dispatchd.measure(&dispatchd, &mut ours, amounts)?;
    }
    drop(nginx);
    dispatchd.stop()?;
    let logged = population::logged_lookups(&data)? - logged_before;
    ensure!(
        ours.answers == logged,
        "{} lookups were answered, {logged} are in the log",
        ours.answers
    );
    report::print_tls(amounts, &of_nginx, &of_dispatchd);
    Ok(())
}

/// A certificate for `localhost`, and a client that trusts it and takes one cipher of TLS 1.3.
fn certificate(folder: &Path) -> anyhow::Result<(Pair, Arc<ClientConfig>)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let pair = Pair { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    fs::write(&pair.certificate, certificate.pem())?;
    write_key(&pair.key, &key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.der().to_vec()))?;
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((pair, Arc::new(config)))
}

fn write_key(path: &Path, pem: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, pem)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// Starts nginx, whose answer has `bytes` in all.
fn nginx(folder: &Path, pair: &Pair, bytes: usize, amounts: &Amounts) -> anyhow::Result<Server> {
    let unpack = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/debian/unpack");
    let unpacked = Command::new(unpack).output()?;
    ensure!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let packages = PathBuf::from(String::from_utf8(unpacked.stdout)?.trim());
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (folder, main) = (folder.display(), folder.join("nginx.conf"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\n{temporary}keepalive_requests 1000000000;\nkeepalive_timeout 600s;\n\
         server {{\nlisten {address} ssl;\nssl_certificate {};\nssl_certificate_key {};\nssl_protocols TLSv1.3;\n\
         location / {{ default_type application/json; return 200 '{}'; }}\n}}\n}}\n",
        pair.certificate.display(),
        pair.key.display(),
        "x".repeat(bytes.saturating_sub(NGINX_HEAD_BYTES).max(1)),
    );
    fs::write(&main, text)?;
    let mut command = Command::new(packages.join("usr/sbin/nginx"));
    let libraries = fs::read_dir(packages.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let mut libraries = libraries.filter(|path| path.to_string_lossy().contains("-linux-gnu"));
    command.env("LD_LIBRARY_PATH", libraries.next().context("the packages hold no libraries")?);
    command.arg("-p").arg(folder.to_string()).arg("-c").arg(main);
    command.arg("-e").arg(format!("{folder}/error.log"));
    Server::other(command, address, amounts)
}
