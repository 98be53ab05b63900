//! The PROXY protocol from a configured load balancer: the client's address counts, and nothing but a good header is taken.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use super::connect_from;
use crate::harness::Server;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The load balancer is at 127.0.0.2.
const BALANCER: [u8; 3] = [0, 0, 2];

/// A header of version 2 for the client 198.51.100.`last`, over TCP and IPv4. `command` is 1 for PROXY and 0 for LOCAL.
fn header(command: u8, last: u8) -> Vec<u8> {
    let addresses = [198, 51, 100, last, 192, 0, 2, 1, 0x30, 0x39, 0, 80];
    [SIGNATURE, &[0x20 | command, 0x11, 0, 12], &addresses].concat()
}

fn lookup(token: &str, handle: &str) -> Vec<u8> {
    let line =
        format!("GET /v1/lookup/{handle} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    format!("{line}authorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// Sends all pieces, then reads to the end. Empty if the server closes the connection without an answer.
fn exchange<'a>(mut stream: TcpStream, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    stream.set_nodelay(true).unwrap();
    let mut text = String::new();
    let sent = pieces.into_iter().try_for_each(|piece| stream.write_all(piece));
    // A reset is an end, too.
    _ = sent.and_then(|()| stream.read_to_string(&mut text).map(drop));
    text
}

async fn start(more: &[(&str, &str)]) -> Server {
    let env = [("SERVER__PROXY_PROTOCOL_FROM", "[\"127.0.0.2/32\"]")];
    Server::start_with(&[&env, more].concat()).await
}

#[tokio::test]
async fn the_client_that_a_load_balancer_names_is_in_the_log() {
    let server = start(&[]).await;
    let ann = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let ask = |header: Vec<u8>, handle: &str, is_split: bool| {
        let bytes = [header, lookup(&ann.token, handle)].concat();
        let stream = connect_from(&server.phones, BALANCER);
        let piece = if is_split { 1 } else { bytes.len() };
        let text = exchange(stream, bytes.chunks(piece));
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text:?}");
    };
    ask(header(1, 7), "+14155550101", false);
    ask(header(1, 8), "+14155550102", true);
    ask(header(0, 9), "+14155550103", false);
    for (handle, ip) in [
        ("%2B14155550101", "198.51.100.7"),
        ("%2B14155550102", "198.51.100.8"),
        ("%2B14155550103", "127.0.0.2"),
    ] {
        let records = server.records(&reader, &format!("handle={handle}")).await;
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["ip"], json!(ip));
    }
}

#[tokio::test]
async fn a_connection_without_a_good_header_is_closed_and_reported_once() {
    let mut server = start(&[]).await;
    let from_balancer = |bytes: &[u8]| exchange(connect_from(&server.phones, BALANCER), [bytes]);
    let livez = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    long.resize(16 + 0xffff, 0);
    let version_1 = [&b"PROXY TCP4 198.51.100.7 192.0.2.1 12345 80\r\n"[..], livez].concat();
    let unknown = [&[SIGNATURE, &[0x25, 0x11, 0, 12], &[0; 12]].concat()[..], livez].concat();
    for bytes in [&livez[..], &version_1, &unknown, &long] {
        assert_eq!(from_balancer(bytes), "", "{:?}", &bytes[..20]);
    }
    let good = [&header(1, 7)[..], livez].concat();
    assert!(from_balancer(&good).starts_with("HTTP/1.1 200 OK"));
    // Nobody else may send a header.
    let stranger = exchange(connect_from(&server.phones, [0, 0, 3]), [&good[..]]);
    assert!(stranger.starts_with("HTTP/1.1 400 Bad Request"), "{stranger}");
    let operators = exchange(connect_from(&server.operators, BALANCER), [&good[..]]);
    assert!(operators.starts_with("HTTP/1.1 400 Bad Request"), "{operators}");
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    let refused = "dispatchd_http_connections_refused_total{listener=\"phones\"} 4";
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
    let output = server.output();
    assert_eq!(output.matches("server.proxy_protocol_from").count(), 1, "{output}");
    assert!(!output.contains("127.0.0.2") && !output.contains("198.51.100"), "{output}");
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn behind_a_load_balancer_the_clients_network_counts() {
    let server = start(&[("SERVER__CONNECTIONS_PER_NETWORK", "2")]).await;
    let connect = |last: u8| {
        let mut stream = connect_from(&server.phones, BALANCER);
        let livez = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        stream.write_all(&[&header(1, last)[..], livez].concat()).unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).ok().map(|()| stream)
    };
    let held: Vec<_> = [1, 1, 2, 2, 3].map(connect).into();
    assert!(held.iter().all(Option::is_some), "{held:?}");
    assert!(connect(1).is_none());
    assert!(connect(3).is_some());
}
