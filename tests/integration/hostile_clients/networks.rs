//! One network cannot hold the connections of all others.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use super::connect_from;
use crate::harness::{Server, wait_until};

/// Connects, and asks `GET /livez`. `None` if the server closes the connection instead.
fn connected(url: &str, from: [u8; 3]) -> Option<TcpStream> {
    let mut stream = connect_from(url, from);
    let mut answer = [0; 15];
    let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    Some(stream)
}

#[tokio::test]
async fn a_network_has_a_limited_number_of_connections_on_all_sockets_together() {
    let env = [("SERVER__CONNECTIONS_PER_NETWORK", "5"), ("SERVER__THREADS", "4")];
    let server = Server::start_with(&env).await;
    let mut held: Vec<_> =
        (0..5).map(|_| connected(&server.phones, [0, 0, 2]).expect("within the limit")).collect();
    assert!((0..10).all(|_| connected(&server.phones, [0, 0, 2]).is_none()));
    assert!(connected(&server.phones, [0, 0, 3]).is_some(), "another network is refused");
    // The operators' listener has no such limit.
    let operators: Vec<_> = (0..6).map(|_| connected(&server.operators, [0, 0, 2])).collect();
    assert!(operators.iter().all(Option::is_some));
    held.pop();
    wait_until("a place is free", || {
        let again = connected(&server.phones, [0, 0, 2]);
        let is_free = again.is_some();
        held.extend(again);
        is_free
    });
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    let refused = "dispatchd_http_connections_refused_total{listener=\"phones\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(refused)).unwrap();
    assert!(count.parse::<u32>().unwrap() >= 10, "{count}");
}

#[tokio::test]
async fn a_trusted_proxy_may_have_all_connections() {
    let env = [
        ("SERVER__CONNECTIONS_PER_NETWORK", "1"),
        ("SERVER__TRUSTED_PROXIES", "[\"127.0.0.2/32\"]"),
    ];
    let server = Server::start_with(&env).await;
    let held: Vec<_> = (0..10).map(|_| connected(&server.phones, [0, 0, 2])).collect();
    assert!(held.iter().all(Option::is_some));
    let _only = connected(&server.phones, [0, 0, 3]).unwrap();
    assert!(connected(&server.phones, [0, 0, 3]).is_none());
}
