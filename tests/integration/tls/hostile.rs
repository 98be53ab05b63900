//! Clients that connect and do not go on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    harness::{say, wait_until},
    hostile_clients::many,
    metrics::Scrape,
};

/// Handshakes that stop after each part of their first message.
#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended_and_others_go_on() {
    let mut tls = TlsServer::start().await;
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let parts = [0, 1, 5, hello.len()];
    thread::scope(|scope| {
        for part in parts {
            let address = tls.phones();
            scope.spawn(move || {
                let mut silent = Wire::connect(&address).unwrap();
                silent.send(&hello[..part]).unwrap();
                // An end or a reset; a read that times out is none.
                let ended = silent.drain().map_err(|error| error.kind());
                assert_ne!(ended.err(), Some(std::io::ErrorKind::WouldBlock), "it is never closed");
            });
        }
    });
    let counted = Scrape::of(&tls.server).await;
    let failed = counted.value("tls_handshakes_failed_total{listener=\"phones\"}");
    assert_eq!(failed as usize, parts.len());
    assert_eq!(counted.value("http_connections{listener=\"phones\"}") as usize, 0);
    assert!(tls.server.stop().await.success());
}

/// The resident memory and the open descriptors of a process.
fn held(pid: u32) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    (kib * 1024, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

/// What a client does once its handshake has ended.
fn misbehave(
    number: usize,
    config: &[std::sync::Arc<rustls::ClientConfig>; 2],
    address: &str,
) -> Session {
    let is_http2 = number % 4 == 3;
    let mut session = Session::connect(address, &config[usize::from(is_http2)]).unwrap();
    match number % 4 {
        // Silent.
        0 => {}
        // Half a head.
        1 => session.send(b"GET /livez HTTP/1.1\r\nhost: local").unwrap(),
        // Many requests whose answers are never read.
        2 => session.send(&b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100)).unwrap(),
        // The same over HTTP/2, without a window.
        _ => {
            let mut bytes =
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0".to_vec();
            for stream in (1..32_u32).step_by(2) {
                // :method GET, :scheme https, :path /livez, of the static table where it has them.
                let block = b"\x82\x87\x04\x06/livez\x01\x09localhost";
                bytes.extend([0, 0, block.len() as u8, 1, 5]);
                bytes.extend(stream.to_be_bytes());
                bytes.extend(block);
            }
            session.send(&bytes).unwrap();
        }
    }
    session
}

/// The sorted times that lookups over TLS took, on one connection, until `is_over`.
fn looked_up(tls: &TlsServer, token: &str, is_over: impl Fn() -> bool) -> Vec<Duration> {
    let config = session::config(&tls.authority, &[b"http/1.1"]);
    let mut session = Session::connect(&tls.phones(), &config).unwrap();
    let request = format!(
        "GET /v1/lookup/%2B14155550123 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let ask = || {
        let answer = session.ask_with(request.as_bytes()).unwrap();
        assert_eq!(answer, "HTTP/1.1 200 OK");
    };
    many::asked(ask, is_over)
}

/// 10,000 hostile clients over TLS: at most 64 KiB of each, and all descriptors are free again soon after.
#[tokio::test]
#[ignore = "long: a thousand handshakes a second"]
async fn long_ten_thousand_clients_take_little_memory_each() {
    const MOST: u64 = 64 * 1024;
    const THREADS: usize = 4;
    let clients: usize = std::env::var("TLS_CLIENTS").map_or(10_000, |it| it.parse().unwrap());
    let tls = TlsServer::start_with(&[("SERVER__CONNECTIONS_PER_NETWORK", "16384")]).await;
    let ann = tls.server.sign_up().await;
    let begun = Instant::now();
    let undisturbed = looked_up(&tls, &ann.token, || begun.elapsed() > Duration::from_secs(10));
    let (before, descriptors) = held(tls.server.pid());
    let config =
        [&b"http/1.1"[..], b"h2"].map(|protocol| session::config(&tls.authority, &[protocol]));
    let address = tls.phones();
    let is_over = AtomicBool::new(false);
    let mut most = 0;
    let (held_open, disturbed) = thread::scope(|scope| {
        let phone = scope.spawn(|| looked_up(&tls, &ann.token, || is_over.load(Ordering::Relaxed)));
        let open = |part| {
            let (config, address) = (&config, &address);
            scope.spawn(move || {
                many::give_way();
                let mut sessions = Vec::new();
                // Before the server closes the first ones.
                many::spread(clients / THREADS, Duration::from_secs(8), |number| {
                    sessions.push(misbehave(THREADS * number + part, config, address));
                });
                sessions
            })
        };
        let parts: Vec<_> = (0..THREADS).map(open).collect();
        while parts.iter().any(|part| !part.is_finished()) {
            let (memory, open) = held(tls.server.pid());
            let open = open.saturating_sub(descriptors).max(clients / 10);
            most = most.max(memory.saturating_sub(before) / open as u64);
            // Each look at ten thousand descriptors takes a processor for milliseconds.
            thread::sleep(Duration::from_millis(500));
        }
        is_over.store(true, Ordering::Relaxed);
        let held_open: Vec<_> = parts.into_iter().flat_map(|part| part.join().unwrap()).collect();
        (held_open, phone.join().unwrap())
    });
    let (_, open) = held(tls.server.pid());
    say(&format!(
        "{} clients, {open} descriptors, at most {most} bytes of each; lookups: p99 {:?} undisturbed, {:?} disturbed",
        held_open.len(),
        many::p99(&undisturbed),
        many::p99(&disturbed),
    ));
    wait_until("all connections have ended", || held(tls.server.pid()).1 <= descriptors + 8);
    assert!(most <= MOST, "{most} bytes of each connection");
    drop(held_open);
}
