//! TLS on the listeners: one certificate for both, TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2.
//!
//! - `pair.rs` reads the files of certificate and key. A pair that clients would refuse ends the start.
//! - [`Certificate`] is what is served. It looks at the files again, once a minute and on SIGHUP.
//! - `handshake.rs` makes the handshake, within the time that the head of a request may take.
//! - `http2.rs` bounds what a client can make the server hold over HTTP/2, which it chooses by ALPN. `answer_timeout.rs` bounds for how long.
//!
//! Sessions are resumed by tickets. Their key changes every six hours and is in memory only. No request is taken before its handshake
//! has ended (0-RTT), because an attacker could send such a request again.

mod answer_timeout;
mod certificate;
mod handshake;
mod http2;
mod pair;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

pub(super) use self::http2::bound;
pub use self::{certificate::Certificate, pair::UnusablePair};
use self::{
    handshake::{HTTP2, Handshakes},
    pair::Pair,
};
use crate::{
    clock::{SharedClock, Timestamp},
    http::traffic::Traffic,
    limits,
};

/// The name of the protocol in ALPN (RFC 7301 section 6).
const HTTP1: &[u8] = b"http/1.1";

/// TLS with the certificate of two files.
#[derive(Clone)]
pub struct Tls {
    /// What is served.
    pub certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
    answer_max: Option<Duration>,
}

impl Tls {
    /// Reads the PEM files `certificate` and `key`, whose certificate must be valid by the wall clock.
    ///
    /// # Errors
    /// If a file cannot be read or used, if the two do not belong together, or if the certificate is not valid now.
    pub fn open(
        certificate: PathBuf,
        key: PathBuf,
        clock: SharedClock,
    ) -> Result<Self, UnusablePair> {
        // Named here, because the process may have another provider by default or none.
        let provider = Arc::new(default_provider());
        let certificate =
            Arc::new(Certificate::open(certificate, key, clock, provider.key_provider)?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has cipher suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        // The preferred one first.
        config.alpn_protocols = [HTTP2, HTTP1].map(<[u8]>::to_vec).into();
        config.ticketer = Ticketer::new().expect("the operating system gives random bytes");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { certificate, acceptor, answer_max: None })
    }

    /// Finds what [`Self::open`] would refuse at `now`, and says when the certificate expires.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(
        certificate: &Path,
        key: &Path,
        now: Timestamp,
    ) -> Result<Timestamp, UnusablePair> {
        let keys = default_provider().key_provider;
        Pair::read(certificate, key, keys, now).map(|pair| pair.expires_at)
    }

    /// An acceptor that accepts as `inner` does and then makes the handshake.
    pub(super) fn handshakes<A>(&self, inner: A, traffic: &Arc<Traffic>) -> Handshakes<A> {
        let (tls, answer_max) = (self.acceptor.clone(), self.answer_max);
        Handshakes { inner, tls, answer_max, traffic: Arc::clone(traffic) }
    }

    /// This for a listener whose answers are complete when they begin, so that none may take longer than
    /// [`limits::HTTP2_ANSWER_TIMEOUT`].
    #[must_use]
    pub fn with_answer_timeout(self) -> Self {
        Self { answer_max: Some(limits::HTTP2_ANSWER_TIMEOUT), ..self }
    }
}
