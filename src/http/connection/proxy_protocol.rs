//! The PROXY protocol, version 2: a load balancer names the client of each connection in a header before the first byte.
//!
//! Source: "The PROXY protocol, versions 1 and 2" of haproxy, sections 2.2 and 3. Version 1 is text of unknown length and is
//! refused. Only connections from configured networks may begin with a header, and they must.

use std::{
    future::{Ready, ready},
    io::{self, ErrorKind},
    net::IpAddr,
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::future::{BoxFuture, Either};
use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpStream,
    time::timeout,
};

use super::admission::Admission;
use crate::{http::edge::Connection, limits};

/// Bytes before the addresses: the signature, version and command, family and protocol, and the length of what follows.
const PREFIX_BYTES: usize = 16;

/// Reads the header of a load balancer, and gives the connection the client's address.
#[derive(Clone, Debug)]
pub(in crate::http) struct ProxyProtocol(pub(in crate::http) Admission);

type Accepted = io::Result<(TcpStream, Connection)>;

impl Accept<TcpStream, Connection> for ProxyProtocol {
    type Stream = TcpStream;
    type Service = Connection;
    type Future = Either<Ready<Accepted>, BoxFuture<'static, Accepted>>;

    fn accept(&self, mut stream: TcpStream, mut connection: Connection) -> Self::Future {
        // An answer is one small write. It must not wait for the acknowledgement of an earlier one.
        if let Err(error) = stream.set_nodelay(true) {
            return Either::Left(ready(Err(error)));
        }
        if !self.0.is_balancer(connection.ip()) {
            return Either::Left(ready(Ok((stream, connection))));
        }
        let admission = self.0.clone();
        Either::Right(Box::pin(async move {
            let named = client_within(limits::HEADER_READ_TIMEOUT, &mut stream).await;
            let admitted = named.and_then(|client| match client {
                Some(client) => connection.announce(client, &admission),
                None => Ok(()),
            });
            if let Err(error) = admitted {
                connection.refused();
                if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::TimedOut) {
                    admission.report_header();
                }
                return Err(error);
            }
            Ok((stream, connection))
        }))
    }
}

async fn client_within(
    patience: Duration,
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<IpAddr>> {
    let read = timeout(patience, named_client(stream)).await;
    read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Reads exactly the header. `None` if it names no IP address: the connection is the balancer's own (LOCAL), or it came by
/// another protocol.
async fn named_client(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut header = [0; PREFIX_BYTES + limits::PROXY_HEADER_BYTES_MAX];
    stream.read_exact(&mut header[..PREFIX_BYTES]).await?;
    // Without the signature, these bytes hold no length.
    if !header.starts_with(PROTOCOL_PREFIX) {
        return Err(ErrorKind::InvalidData.into());
    }
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    let rest = header.get_mut(PREFIX_BYTES..PREFIX_BYTES + length);
    stream.read_exact(rest.ok_or(ErrorKind::InvalidData)?).await?;
    let header = Header::try_from(&header[..PREFIX_BYTES + length]);
    let header = header.map_err(|_| ErrorKind::InvalidData)?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(is)) => Some(is.source_address.into()),
        (Command::Proxy, Addresses::IPv6(is)) => Some(IpAddr::V6(is.source_address).to_canonical()),
        _ => None,
    })
}

/// Reads `bytes` as a header, as a fuzz target gives them.
///
/// # Panics
/// If the client's address has a second spelling, or fewer bytes were read than a header has.
#[cfg(feature = "testing")]
pub(in crate::http) fn fuzz(mut bytes: &[u8]) {
    use futures_util::FutureExt as _;

    let before = bytes.len();
    let read = named_client(&mut bytes).now_or_never().expect("bytes in memory are there at once");
    if let Ok(client) = read {
        assert!(client.is_none_or(|client| client == client.to_canonical()));
        assert!(before - bytes.len() >= PREFIX_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these version and command, family and protocol, and the bytes that follow its length.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    const IPV4: [u8; 12] = [198, 51, 100, 7, 192, 0, 2, 1, 0x30, 0x39, 0, 80];

    async fn read(bytes: &[u8]) -> Result<(Option<IpAddr>, usize), ErrorKind> {
        let mut unread = bytes;
        let client = named_client(&mut unread).await.map_err(|error| error.kind())?;
        Ok((client, unread.len()))
    }

    #[tokio::test]
    async fn the_client_is_read_and_no_byte_of_what_follows() {
        let client = Some(IpAddr::from([198, 51, 100, 7]));
        let request = b"GET / HTTP/1.1\r\n";
        let plain = [header(0x21, 0x11, &IPV4), request.to_vec()].concat();
        assert_eq!(read(&plain).await, Ok((client, request.len())));
        let with_values = [&IPV4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(read(&header(0x21, 0x11, &with_values)).await, Ok((client, 0)));
        let v6 = |text: &str| {
            let ip: std::net::Ipv6Addr = text.parse().unwrap();
            header(0x21, 0x21, &[&ip.octets()[..], &[0; 20]].concat())
        };
        let named = |text: &str| Some(text.parse().unwrap());
        assert_eq!(read(&v6("2001:db8::7")).await, Ok((named("2001:db8::7"), 0)));
        assert_eq!(read(&v6("::ffff:198.51.100.7")).await, Ok((named("198.51.100.7"), 0)));
    }

    #[tokio::test]
    async fn a_header_without_an_address_names_no_client() {
        assert_eq!(read(&header(0x20, 0x11, &IPV4)).await, Ok((None, 0)));
        assert_eq!(read(&header(0x20, 0x00, &[])).await, Ok((None, 0)));
        assert_eq!(read(&header(0x21, 0x00, &[1, 2, 3])).await, Ok((None, 0)));
        assert_eq!(read(&header(0x21, 0x31, &[0; 216])).await, Ok((None, 0)));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let invalid = Err(ErrorKind::InvalidData);
        assert_eq!(read(b"GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await, invalid);
        assert_eq!(read(b"PROXY TCP4 198.51.100.7 192.0.2.1 12345 80\r\n").await, invalid);
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x41), (0x21, 0x13)] {
            assert_eq!(read(&header(command, family, &IPV4)).await, invalid, "{command:x}");
        }
        assert_eq!(read(&header(0x21, 0x11, &IPV4[..11])).await, invalid);
        let long = vec![0; limits::PROXY_HEADER_BYTES_MAX + 1];
        assert_eq!(read(&header(0x21, 0x11, &long)).await, invalid);
        let longest = &long[1..];
        assert!(read(&header(0x21, 0x11, longest)).await.is_ok());
        let part = header(0x21, 0x11, &IPV4);
        assert_eq!(read(&part[..27]).await, Err(ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        let (_client, mut server) = tokio::io::duplex(64);
        let read = client_within(Duration::from_millis(20), &mut server).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
