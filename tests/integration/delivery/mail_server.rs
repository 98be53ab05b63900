//! A real mail server (`tests/tools/mail_server.py`) and a certificate authority for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{harness::PATIENCE, python::python};

/// Files with the authority's certificate, and with a certificate and key for `localhost`.
pub(super) struct Authority {
    pub(super) ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

impl Authority {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        let file = |part: &str, text: String| {
            let path = folder.join(format!("{name}-{part}.pem"));
            fs::write(&path, text).unwrap();
            path
        };
        let (ca_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(params, ca_key);
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap().pem();
        Self {
            ca: file("ca", ca),
            cert: file("cert", leaf),
            key: file("key", leaf_key.serialize_pem()),
        }
    }
}

/// The login that the server asks for, if any.
pub(super) fn login_of(asks: bool) -> Value {
    if asks { json!(["codes", "open sesame"]) } else { Value::Null }
}

pub(super) struct MailServer {
    child: Child,
    /// The server's output. A file, unlike a pipe, holds everything that the server printed before it answered.
    output: NamedTempFile,
    pub(super) port: u16,
}

impl MailServer {
    /// Starts a mail server with `tls` and `plan` as its script defines them.
    ///
    /// If `login` is set, it asks for user `codes` and password `open sesame`.
    pub(super) fn start(authority: &Authority, tls: &str, login: bool, plan: &Value) -> Self {
        Self::with(authority, &json!({"tls": tls, "plan": plan, "login": login_of(login)}))
    }

    /// Starts a mail server with some of the options that its script defines.
    pub(super) fn with(authority: &Authority, options: &Value) -> Self {
        let mut options = options.clone();
        options["cert"] = json!(authority.cert);
        options["key"] = json!(authority.key);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/mail_server.py");
        let output = NamedTempFile::new().unwrap();
        let child = Command::new(python())
            .args([script, &options.to_string()])
            .stdin(Stdio::null())
            .stdout(output.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, output, port: 0 };
        let started = Instant::now();
        server.port = loop {
            if let Some(ready) = server.events("ready").first() {
                break u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
            }
            assert!(started.elapsed() < PATIENCE, "the mail server does not start");
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "the mail server exited by itself");
            thread::sleep(Duration::from_millis(5));
        };
        server
    }

    /// The events of one kind.
    pub(super) fn events(&self, kind: &str) -> Vec<Value> {
        let output = fs::read_to_string(self.output.path()).unwrap();
        // The server is still writing a line without its end.
        let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == kind).collect()
    }

    /// Mails whose content arrived, whether or not the server accepted them.
    pub(super) fn mails(&self) -> Vec<Value> {
        self.events("content")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
