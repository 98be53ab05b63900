//! Clients that hold an HTTP/2 connection or an answer of it: while the server stops, without a request, or without a window.

use std::time::{Duration, Instant};

use dispatchd::limits;

use super::*;
use crate::harness::say;

/// Types of frames and a flag (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
/// END_STREAM and END_HEADERS.
const WHOLE_REQUEST: u8 = 5;
/// SETTINGS_INITIAL_WINDOW_SIZE = 0.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// An HTTP/2 connection that has sent its preface with these settings.
fn connect(tls: &TlsServer, url: &str, settings: &[u8]) -> Session {
    let config = session::config(&tls.authority, &[b"h2"]);
    let address = url.replace("https://localhost", "127.0.0.1");
    let mut session = Session::connect(&address, &config).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    session.send(&[preface, &frame(4, 0, 0, settings)[..]].concat()).unwrap();
    session
}

/// A GET. Its fields are literals without an index (RFC 7541 section 6.2.2), after those of the static table.
fn get(stream: u32, path: &str, token: &str) -> Vec<u8> {
    let literal = |name: &[u8], value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        [name, &[length], value.as_bytes()].concat()
    };
    let mut block = vec![0x82, 0x87];
    block.extend(literal(&[0x04], path));
    block.extend(literal(&[0x01], "localhost"));
    if !token.is_empty() {
        block.extend(literal(&[0x0f, 0x08], &format!("Bearer {token}")));
    }
    frame(HEADERS, WHOLE_REQUEST, stream, &block)
}

/// The types of the frames that came.
fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [l1, l2, l3, kind, ..] = *bytes {
        kinds.push(kind);
        let end = 9 + u32::from_be_bytes([0, l1, l2, l3]) as usize;
        bytes = bytes.get(end..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn clients_that_are_silent_do_not_delay_a_stop() {
    let mut tls = TlsServer::start_with(&[("SERVER__GRACE", "10m")]).await;
    let urls = [tls.server.phones.clone(), tls.server.operators.clone()];
    let mut silent: Vec<_> = urls.iter().map(|url| connect(&tls, url, &[])).collect();
    for session in &mut silent {
        session.send(&get(1, "/livez", "")).unwrap();
        session.frames_until(HEADERS);
    }
    let http1 = session::config(&tls.authority, &[b"http/1.1"]);
    let mut idle = Session::connect(&tls.phones(), &http1).unwrap();
    idle.ask().unwrap();
    let asked = Instant::now();
    let status = tls.server.stop().await;
    let took = asked.elapsed();
    say(&format!("a stop with silent HTTP/2 clients took {took:?}"));
    assert_eq!(status.code(), Some(0), "{}", tls.server.output());
    // The grace is far longer, and so is the time after which an idle connection ends by itself.
    assert!(took < Duration::from_secs(30), "the stop took {took:?}");
    for mut session in silent {
        let (bytes, _) = session.drain();
        assert!(kinds(&bytes).contains(&GOAWAY), "{bytes:?}");
    }
}

#[tokio::test]
async fn an_http2_request_under_way_is_answered_while_the_server_stops() {
    let mut tls = TlsServer::start_with(&[("SERVER__GRACE", "10m")]).await;
    let mut session = connect(&tls, &tls.server.phones, &[]);
    // A sign-up whose body has not ended.
    let body = b"{\"platform\":\"ios\"}";
    let mut block = vec![0x83, 0x87, 0x04, 11];
    block.extend(b"/v1/devices");
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    block.extend([0x0f, 0x10, 16]);
    block.extend(b"application/json");
    session.send(&frame(HEADERS, 4, 1, &block)).unwrap();
    session.send(&frame(DATA, 0, 1, &body[..5])).unwrap();
    session.send(&frame(6, 0, 0, b"deadbeef")).unwrap();
    session.frames_until(6);
    tls.server.signal("TERM");
    session.frames_until(GOAWAY);
    // Longer than a stop waits for clients without a request. The answer must come all the same.
    tokio::time::sleep(2 * limits::GOAWAY_TIMEOUT).await;
    session.send(&frame(DATA, 1, 1, &body[5..])).unwrap();
    let (bytes, _) = session.drain();
    assert!(kinds(&bytes).contains(&HEADERS) && kinds(&bytes).contains(&DATA), "{bytes:?}");
    assert_eq!(tls.server.wait().await.code(), Some(0), "{}", tls.server.output());
}

#[tokio::test]
async fn an_operators_answer_without_a_window_ends_and_an_idle_tail_lives_on() {
    let tls = TlsServer::start().await;
    let token = tls.server.operator_token("reader", "reader");
    let operators = &tls.server.operators;
    let mut tail = connect(&tls, operators, &[]);
    tail.send(&get(1, "/v1/log/tail?kind=change", &token)).unwrap();
    tail.frames_until(HEADERS);
    // A short answer, and one whose length is not known.
    for path in ["/v1/log/segments", "/openapi.json"] {
        let mut unread = connect(&tls, operators, &NO_WINDOW);
        unread.send(&get(1, path, &token)).unwrap();
        unread.frames_until(HEADERS);
        let begun = Instant::now();
        let (bytes, _) = unread.drain();
        let took = begun.elapsed();
        say(&format!("{path} without a window ended after {took:?}"));
        // An idle connection would end, too, but not so early.
        assert!(took < limits::IDLE_TIMEOUT, "{took:?}");
        assert!(!kinds(&bytes).contains(&DATA), "{bytes:?}");
    }
    tls.server.sign_up().await;
    assert!(tail.frames_until(DATA).contains(&DATA));
}
