//! TLS on both listeners: versions, protocols, the certificate and its files, commands over https, and hostile clients.

mod certificate;
mod commands;
mod holding;
mod hostile;
mod http2;
mod session;
mod versions;

use std::fs;

use tempfile::TempDir;

use self::session::Session;
use crate::{
    connection::Wire,
    harness::{PATIENCE, Server, client},
    recipes::authority::Authority,
};

/// A server whose listeners both speak TLS as `localhost`, with the authority of its certificate.
struct TlsServer {
    server: Server,
    authority: Authority,
    _folder: TempDir,
}

impl TlsServer {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further settings.
    async fn start_with(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let [cert, key] = [&authority.cert, &authority.key].map(|file| file.to_str().unwrap());
        let own = [("TLS__CERTIFICATE", cert), ("TLS__KEY", key)];
        let mut server = Server::on(&folder.path().join("data"), &[&own, env].concat()).await;
        let https = |url: &str| url.replace("http://127.0.0.1", "https://localhost");
        (server.phones, server.operators) = (https(&server.phones), https(&server.operators));
        server.client = client().tls_certs_only([authority.certificate()]).build().unwrap();
        Self { server, authority, _folder: folder }
    }

    /// `127.0.0.1:port` of the phones' listener.
    fn phones(&self) -> String {
        self.server.phones.replace("https://localhost", "127.0.0.1")
    }
}
