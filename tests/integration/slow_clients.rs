//! Proves that a client which dawdles costs the server a bounded time: a connection that says nothing or half a head is
//! closed, a body that does not end is refused, and others are served meanwhile.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    connection::{Reply, Wire},
    harness::Server,
};

/// Ten seconds for a head, and some for a busy machine.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Fifteen seconds for a request with its body.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// Sends `first`, then `more` every half second, until the server has had enough. How long that took.
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

/// A body that stays behind what was announced.
fn half_body(url: &str, token: &str) -> (Duration, Reply) {
    let mut wire = Wire::connect(url).unwrap();
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n";
    let started = Instant::now();
    wire.send(format!("{head}authorization: Bearer {token}\r\n\r\n{{\"handles\":").as_bytes())
        .unwrap();
    let reply = wire.reply().unwrap();
    (started.elapsed(), reply)
}

/// A body that goes on for as long as somebody reads it.
fn endless_body(url: &str, token: &str) -> Reply {
    let mut wire = Wire::connect(url).unwrap();
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n";
    wire.send(format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes())
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..200 {
        if wire.send(chunk.as_bytes()).is_err() {
            break;
        }
    }
    wire.reply().unwrap()
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
        let endless = endless_body(&server.phones, &ann.token);
        assert_eq!(endless.status, 413, "{endless:?}");
        assert_eq!(endless.body["code"], "body-too-large");
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
