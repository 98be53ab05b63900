//! A TLS connection of a hand-written client.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};

use crate::{harness::PATIENCE, recipes::authority::Authority};

/// A connection whose handshake has ended.
pub(super) struct Session(StreamOwned<ClientConnection, TcpStream>);

/// A client that trusts the authority and offers these protocols.
pub(super) fn config(authority: &Authority, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS12, &TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Arc::new(config)
}

impl Session {
    /// Connects to `address` as to `localhost`.
    pub(super) fn connect(address: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut session = StreamOwned::new(connection, stream);
        while session.conn.is_handshaking() {
            session.conn.complete_io(&mut session.sock)?;
        }
        Ok(Self(session))
    }

    /// The certificate that the server has shown.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.0.conn.peer_certificates().unwrap()[0]
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.0.conn.protocol_version().unwrap()
    }

    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.0.conn.alpn_protocol()
    }

    /// Whether the handshake used a ticket.
    pub(super) fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Asks for `/livez` over HTTP/1.1, and gives the first line of the answer. The connection stays open.
    pub(super) fn ask(&mut self) -> io::Result<String> {
        self.ask_with(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
    }

    /// The same with a request of the caller's.
    pub(super) fn ask_with(&mut self, request: &[u8]) -> io::Result<String> {
        self.send(request)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body)?;
        Ok(head.lines().next().unwrap_or_default().to_owned())
    }

    /// Reads HTTP/2 frames up to the first of this type, and gives their types.
    pub(super) fn frames_until(&mut self, last: u8) -> Vec<u8> {
        let mut kinds = Vec::new();
        while kinds.last() != Some(&last) {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            self.0.read_exact(&mut vec![0; length as usize]).unwrap();
            kinds.push(head[3]);
        }
        kinds
    }

    /// Reads until the server closes the connection, and gives what came.
    pub(super) fn drain(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let ended = self.0.read_to_end(&mut bytes).map(drop);
        (bytes, ended)
    }
}
