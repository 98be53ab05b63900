//! Listening sockets and their servers.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    connection::{admission::Admission, guard::Guarded, proxy_protocol::ProxyProtocol},
    edge::Edge,
    service::Service,
    tls::{self, Tls},
};
use crate::{limits, shutdown::Shutdown};

/// Connections that the kernel queues until a thread accepts them.
const BACKLOG: i32 = 4_096;

/// Listens on `address` with `count` sockets, among which the kernel distributes connections (SO_REUSEPORT). Each serving
/// thread accepts from a socket of its own.
///
/// First binds an exclusive socket. With SO_REUSEPORT alone, a second server of the same user could share the port, and
/// each connection would reach one of the two at random.
///
/// The kernel keeps `send_buffer_bytes` of answers for each connection.
///
/// # Errors
/// If the address is in use, or does not belong to this machine.
pub fn bind(
    address: SocketAddr,
    count: usize,
    send_buffer_bytes: usize,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let exclusive = TcpListener::bind(address)?;
    let address = exclusive.local_addr()?;
    drop(exclusive);
    let shared = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        // Accepted sockets inherit both. Without them, the kernel keeps megabytes for each client that reads nothing, and a closed
        // connection for a quarter of an hour.
        socket.set_send_buffer_size(send_buffer_bytes)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(limits::UNTAKEN_TIMEOUT))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    let listeners: io::Result<Vec<_>> = (0..count).map(|_| shared()).collect();
    Ok((address, listeners?))
}

/// A listener: what it answers, to whom and until when. Each of its sockets is served by a clone.
#[derive(Clone)]
pub struct Listener {
    /// What answers.
    pub service: Service,
    /// With it the listener speaks HTTP/1.1 and HTTP/2 over TLS, without it HTTP/1.1.
    pub tls: Option<Tls>,
    /// How many connections it has.
    pub admission: Admission,
    /// Says whether the server stops.
    pub shutdown: Shutdown,
    /// Lets requests under way finish, and accepts no more, once it is shut down. Of all sockets together.
    pub handle: Handle<SocketAddr>,
}

impl Listener {
    /// Serves connections of `socket` until the handle is shut down.
    ///
    /// # Errors
    /// If the socket cannot be used.
    pub async fn serve(self, socket: TcpListener) -> io::Result<()> {
        let Self { service, tls, admission, shutdown, handle } = self;
        let mut server = axum_server::from_tcp(socket)?
            .handle(handle)
            .first_request_timeout(limits::HEADER_READ_TIMEOUT);
        server
            .http_builder()
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEADER_READ_TIMEOUT)
            .max_buf_size(limits::HEAD_BYTES_MAX)
            .max_headers(limits::HEADERS_MAX)
            // An answer is one small buffer, for which a plain write is cheaper than a vectored one. The guard sees plain writes only.
            .writev(false);
        tls::bound(&mut server);
        let server = server.accept_error_handler(|_, error| {
            // The client's address is personal data, so only the kind of the error is logged.
            tracing::debug!(kind = ?error.kind(), "a connection could not be accepted");
        });
        let plain = ProxyProtocol(admission.clone());
        match tls {
            Some(tls) => {
                let inner = tls.handshakes(plain, &service.traffic);
                let edge = Edge::new(service, admission);
                server.acceptor(Guarded { inner, shutdown }).serve(edge).await
            }
            None => {
                let edge = Edge::new(service, admission);
                server.http1_only().acceptor(Guarded { inner: plain, shutdown }).serve(edge).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_share_a_port_with_each_other_and_with_no_other_server() {
        const BUFFER: usize = limits::PHONES_SEND_BUFFER_BYTES;
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (address, listeners) = bind(any, 2, BUFFER).unwrap();
        assert_ne!(address.port(), 0);
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        let taken = bind(address, 1, BUFFER).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
