//! Proves that a slow client costs the server a bounded time. The server closes a connection that sends nothing or
//! half a head. It refuses a body that does not end. Meanwhile it serves other clients.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    connection::{Reply, Wire},
    harness::Server,
};

/// The limit for a head is ten seconds; the rest is for a busy machine.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The limit for a request with its body is fifteen seconds; the rest is for a busy machine.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// The number of 4 KiB chunks in 1 GiB. The server must stop reading much earlier.
const ENDLESS: usize = 256 * 1024;

/// Sends `first`, then `more` every half second, until the server closes the connection. Returns how long that took.
fn dawdle(url: &str, first: &str, more: &str) -> Duration {
    let mut wire = Wire::connect(url).unwrap();
    let started = Instant::now();
    wire.send(first.as_bytes()).unwrap();
    if more.is_empty() {
        let _ = wire.drain();
        return started.elapsed();
    }
    while started.elapsed() < BODY_WITHIN && wire.send(more.as_bytes()).is_ok() {
        thread::sleep(Duration::from_millis(500));
    }
    started.elapsed()
}

/// Sends a body that is shorter than its announced length.
fn half_body(url: &str, token: &str) -> (Duration, Reply) {
    let mut wire = Wire::connect(url).unwrap();
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n";
    let started = Instant::now();
    wire.send(format!("{head}authorization: Bearer {token}\r\n\r\n{{\"handles\":").as_bytes())
        .unwrap();
    let reply = wire.reply().unwrap();
    (started.elapsed(), reply)
}

/// Sends up to `count` chunks beyond the body limit, until the server closes the connection. Returns how many it
/// sent.
fn many_chunks(wire: &mut Wire, token: &str, count: usize) -> usize {
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n";
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
            .map(|(url, first, more)| {
                let took = scope.spawn(move || dawdle(url, first, more));
                (first, more, took)
            })
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
        assert!(sent < ENDLESS, "the server read the whole endless body");
        for (first, more, took) in dawdlers {
            let took = took.join().unwrap();
            assert!(took < HEAD_WITHIN, "{first:?} {more:?}: {took:?}");
        }
        let (took, refused) = half.join().unwrap();
        assert!(took < BODY_WITHIN, "{took:?}");
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(refused.body["code"], "request-invalid");
    });
    let mut other = Wire::connect(&server.phones).unwrap();
    let path = "/v1/lookup/%2B14155550123";
    let reply = other.ask("GET", path, &ann.token, &Value::Null);
    assert_eq!(reply.unwrap().status, 200);
    assert!(server.stop().await.success());
}
