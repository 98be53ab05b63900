//! [`Socket`]: the socket below the layers of a connection's stream.

use tokio::net::TcpStream;

/// A stream over a socket.
pub(in crate::http) trait Socket {
    /// Lets the kernel wait for the client for as long as it is there: until then the kernel ends the connection after
    /// [`limits::UNTAKEN_TIMEOUT`](crate::limits::UNTAKEN_TIMEOUT). A client that has vanished is noticed after a quarter of an hour.
    fn wait_for_client(&self);
}

impl Socket for TcpStream {
    fn wait_for_client(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(self).set_tcp_user_timeout(None) {
            tracing::debug!(%error, "the kernel waits no longer than for others");
        }
    }
}
