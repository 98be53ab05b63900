//! [`Handshakes`]: an acceptor that makes the TLS handshake of each connection.

use std::{
    io::{Error, ErrorKind, Result},
    sync::Arc,
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::answer_timeout::AnswerTimeout;
use crate::{http::traffic::Traffic, limits};

/// The name of the protocol in ALPN (RFC 9113 section 3.2).
pub(super) const HTTP2: &[u8] = b"h2";

/// Accepts as `inner` does, then makes the handshake. Unlike the acceptor of axum-server it counts failures, and adds nothing to each
/// request.
#[derive(Clone)]
pub(in crate::http) struct Handshakes<A> {
    pub(super) inner: A,
    pub(super) tls: TlsAcceptor,
    /// For [`AnswerTimeout`].
    pub(super) answer_max: Option<Duration>,
    pub(super) traffic: Arc<Traffic>,
}

impl<A, I, S> Accept<I, S> for Handshakes<A>
where
    A: Accept<I, S, Future: Send + 'static>,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = AnswerTimeout<TlsStream<A::Stream>>;
    type Service = A::Service;
    type Future = BoxFuture<'static, Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.inner.accept(stream, service);
        let (tls, answer_max) = (self.tls.clone(), self.answer_max);
        let traffic = Arc::clone(&self.traffic);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            // An alert that a full socket does not take must not hold the connection either.
            let made = timeout(limits::HEADER_READ_TIMEOUT, tls.accept(stream)).await;
            let made = made.unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)));
            match made {
                Ok(mut stream) => {
                    stream.get_mut().1.set_buffer_limit(Some(limits::TLS_BUFFER_BYTES));
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                    Ok((AnswerTimeout::new(stream, is_http2, answer_max), service))
                }
                Err(error) => {
                    traffic.handshake_failed();
                    Err(error)
                }
            }
        })
    }
}
