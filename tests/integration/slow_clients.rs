//! Proves that a slow client costs the server a bounded time. The server closes a connection that sends nothing or
//! half a head. It refuses a body that does not end. Meanwhile it serves other clients.

use std::{
    io::ErrorKind,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    connection::{Reply, Wire},
    harness::{PATIENCE, Server},
};

/// Chunks of 4 KiB that nobody should go on reading: 1 GiB.
const ENDLESS: usize = 256 * 1024;

/// Sends `first`, then `more` every half second, until the server closes the connection.
fn dawdle(url: &str, first: &str, more: &str) {
    let mut wire = Wire::connect(url).unwrap();
    wire.send(first.as_bytes()).unwrap();
    if more.is_empty() {
        // A reset is an end, too; only a read that times out is none.
        let ended = wire.drain().map_err(|error| error.kind());
        assert_ne!(ended.err(), Some(ErrorKind::WouldBlock), "it is never closed: {first:?}");
        return;
    }
    let started = Instant::now();
    while wire.send(more.as_bytes()).is_ok() {
        assert!(started.elapsed() < PATIENCE, "the server goes on reading {first:?} {more:?}");
        thread::sleep(Duration::from_millis(500));
    }
}

/// A body that stays behind what was announced.
fn half_body(url: &str, token: &str) -> Reply {
    let mut wire = Wire::connect(url).unwrap();
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n";
    wire.send(format!("{head}authorization: Bearer {token}\r\n\r\n{{\"handles\":").as_bytes())
        .unwrap();
    wire.reply().unwrap()
}

/// Sends up to `count` chunks beyond the body limit, until the server closes the connection. Returns how many it
/// sent.
fn many_chunks(wire: &mut Wire, token: &str, count: usize) -> usize {
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    wire.send(format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    (0..count).take_while(|_| wire.send(chunk.as_bytes()).is_ok()).count()
}

#[tokio::test]
async fn dawdlers_are_cut_off_and_others_are_served_meanwhile() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    let half_head = "GET /v1/lookup/x HTTP/1.1\r\nhost: test\r\n";
    let heads = [("", ""), (half_head, ""), (half_head, "x-more: 1\r\n")];
    thread::scope(|scope| {
        let urls = [&server.phones, &server.operators];
        let dawdlers: Vec<_> = urls
            .into_iter()
            .flat_map(|url| heads.map(|(first, more)| (url, first, more)))
            .map(|(url, first, more)| scope.spawn(move || dawdle(url, first, more)))
            .collect();
        let half = scope.spawn(|| half_body(&server.phones, &ann.token));
        let mut large = Wire::connect(&server.phones).unwrap();
        many_chunks(&mut large, &ann.token, 200);
        large.send(b"0\r\n\r\n").unwrap();
        let large = large.reply().unwrap();
        assert_eq!(large.status, 413, "{large:?}");
        assert_eq!(large.body["code"], "body-too-large");
        let mut endless = Wire::connect(&server.phones).unwrap();
        let sent = many_chunks(&mut endless, &ann.token, ENDLESS);
        assert!(sent < ENDLESS, "it reads on and on");
        dawdlers.into_iter().for_each(|dawdler| dawdler.join().unwrap());
        let refused = half.join().unwrap();
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(refused.body["code"], "request-invalid");
    });
    let mut other = Wire::connect(&server.phones).unwrap();
    let path = "/v1/lookup/%2B14155550123";
    let reply = other.ask("GET", path, &ann.token, &Value::Null);
    assert_eq!(reply.unwrap().status, 200);
    assert!(server.stop().await.success());
}
