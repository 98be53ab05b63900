//! Clients that hold connections: their connections end, their memory is bounded, and others are served meanwhile.

mod bodies;
mod heads;
pub(crate) mod many;
mod networks;
mod proxy_protocol;

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::{
    connection::Wire,
    harness::{PATIENCE, Server, wait_until},
};

/// The open descriptors of the server's process.
fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// The memory of the server's process.
fn resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Connects to `http://address` from the loopback address 127.`from`, with a small receive buffer.
fn connect_from(url: &str, from: [u8; 3]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(&SocketAddr::from(([127, from[0], from[1], from[2]], 0)).into()).unwrap();
    let to: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    OwnedFd::from(socket).into()
}

/// Sends requests of the largest answer that needs no token until the server reads no more.
fn pipeline(stream: &mut TcpStream) {
    // The second kind has a body that its call does not read, and no answer of its own: the library reads on after it.
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n\
        HEAD /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\n\r\nx";
    let requests = request.repeat(1_000);
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    while stream.write_all(&requests).is_ok() {}
}

#[tokio::test]
async fn clients_that_read_nothing_are_cut_off_and_others_are_served() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    let before = descriptors(&server);
    let mut held: Vec<_> = [&server.phones, &server.operators]
        .into_iter()
        .flat_map(|url| (0..8).map(move |_| connect_from(url, [0, 0, 9])))
        .collect();
    thread::scope(|scope| {
        held.iter_mut().for_each(|stream| _ = scope.spawn(|| pipeline(stream)));
    });
    let mut other = Wire::connect(&server.phones).unwrap();
    let path = "/v1/lookup/%2B14155550123";
    let reply = other.ask("GET", path, &ann.token, &Value::Null);
    assert_eq!(reply.unwrap().status, 200);
    drop(other);
    wait_until("the server closed all", || descriptors(&server) <= before);
    drop(held);
    assert!(server.stop().await.success());
}

/// A client that takes a byte from time to time holds its connection no longer than one that takes none.
#[tokio::test]
async fn a_client_that_reads_single_bytes_is_cut_off() {
    let server = Server::start().await;
    let mut stream = connect_from(&server.phones, [0, 0, 9]);
    pipeline(&mut stream);
    let (begun, mut byte) = (Instant::now(), [0]);
    // A reset is the end that a client meets whose bytes were not all taken.
    while matches!(stream.read(&mut byte), Ok(1)) {
        assert!(begun.elapsed() < PATIENCE, "the connection is held");
        thread::sleep(Duration::from_millis(500));
        if is_reset(&mut stream) {
            break;
        }
    }
}

/// Whether the server has closed the connection, though bytes wait to be read.
fn is_reset(stream: &mut TcpStream) -> bool {
    let error = stream.take_error().unwrap();
    let write = stream.write_all(b"x");
    let is_end = |kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    error.is_some_and(|error| is_end(error.kind()))
        || write.is_err_and(|error| is_end(error.kind()))
}
