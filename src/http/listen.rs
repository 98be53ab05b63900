//! Listening sockets and what serves them.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};

use super::edge::{Edge, Service};
use crate::limits;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 4_096;

/// Listens on `address` with `count` sockets among which the kernel shares out connections (SO_REUSEPORT), so that each
/// serving thread accepts for itself.
///
/// # Errors
/// If the address is in use or not ours. An exclusive socket is tried first: SO_REUSEPORT alone would let a second
/// server of the same user share the port in silence, and each phone would meet one or the other by chance.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let exclusive = TcpListener::bind(address)?;
    let address = exclusive.local_addr()?;
    drop(exclusive);
    let shared = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    let listeners: io::Result<Vec<_>> = (0..count).map(|_| shared()).collect();
    Ok((address, listeners?))
}

/// Serves `service` on `listener` until `handle` stops it, then lets requests under way finish for as long as the
/// handle's grace says.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle)
        .first_request_timeout(limits::HEADER_READ_TIMEOUT)
        .http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_READ_TIMEOUT)
        // Answers are one small buffer: a plain write is cheaper than gathering.
        .writev(false);
    server
        .map(|_| axum_server::accept::NoDelayAcceptor::new())
        .accept_error_handler(|_, error| {
            // The peer's address is personal; the kind of error is not.
            tracing::debug!(kind = ?error.kind(), "a connection could not be accepted");
        })
        .serve(Edge::new(service))
        .await
}

/// Stops `handle`'s server: no new connection, requests under way finish within `grace`.
pub fn stop(handle: &Handle<SocketAddr>, grace: Duration) {
    handle.graceful_shutdown(Some(grace));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_share_a_port_with_each_other_and_with_nobody_else() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (address, listeners) = bind(any, 2).unwrap();
        assert_ne!(address.port(), 0);
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        let taken = bind(address, 1).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
