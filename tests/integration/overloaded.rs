//! Overload: batches are refused at once while a phones' thread is late, and what keeps devices alive is answered.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use reqwest::Method;
use serde_json::json;

use crate::{
    connection::{Reply, Wire},
    harness::{Server, wait_until},
    wire::call,
};

/// Connections that send one batch after another to one thread. All of them together take a debug build far
/// longer than the delay that the server is started with.
const CLIENTS: usize = 32;

/// Sends batches until `stop`. Counts answers and refusals.
fn ask(url: &str, token: &str, stop: &AtomicBool, [answered, refused]: &[AtomicU64; 2]) {
    let handles: Vec<_> = (0..1_000).map(|n| format!("nobody{n}@example.com")).collect();
    let body = json!({"handles": handles});
    let mut wire = Wire::connect(url).unwrap();
    while !stop.load(SeqCst) {
        let reply = wire.ask("POST", "/v1/lookup", token, &body).unwrap();
        match reply.status {
            200 => answered.fetch_add(1, SeqCst),
            _ => {
                is_shed(&reply);
                refused.fetch_add(1, SeqCst)
            }
        };
    }
}

fn is_shed(reply: &Reply) {
    assert_eq!((reply.status, &*reply.text("code")), (503, "overloaded"), "{reply:?}");
    let pause: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&pause), "{pause}");
    assert_ne!(reply.header("connection"), Some("close"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_thread_sheds_batches_and_counts_them() {
    let env = [("SERVER__THREADS", "1"), ("SERVER__SHED_AFTER", "10ms"), ("LOG__DURABILITY", "os")];
    let mut server = Server::start_with(&env).await;
    let ann = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let (stop, counts) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    let (url, token) = (server.phones.clone(), ann.token.clone());
    tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| ask(&url, &token, &stop, &counts));
            }
            wait_until("batches are shed and others are answered", || {
                counts.iter().all(|count| count.load(SeqCst) >= 20)
            });
            let mut phone = Wire::connect(&url).unwrap();
            for _ in 0..5 {
                let check_in = phone.ask("POST", "/v1/devices/me/check-in", &token, &json!(null));
                assert_eq!(check_in.unwrap().status, 200);
                assert_eq!(phone.ask("GET", "/readyz", "", &json!(null)).unwrap().status, 200);
            }
            stop.store(true, SeqCst);
        });
    });
    let mut refused = counts[1].load(SeqCst);
    let metrics = server.scrape().send().await.unwrap().text().await.unwrap();
    for name in [
        "dispatchd_lookups_unrecorded_total{reason=\"overloaded\"}",
        "dispatchd_lookups_total{route=\"refused\",reason=\"overloaded\"}",
        "dispatchd_http_requests_total{listener=\"phones\",call=\"lookUpBatch\",status=\"503\",problem=\"overloaded\"}",
    ] {
        let line = format!("{name} {refused}");
        assert!(metrics.lines().any(|is| is == line), "the metrics lack {line}:\n{metrics}");
    }
    // The queue is gone, and soon the thread has noticed.
    let check = || Some(json!({"handles": ["+14155550123"]}));
    while call(&server, Method::POST, "/v1/lookup", Some(&ann.token), check()).await.status == 503 {
        refused += 1;
    }
    // A stop writes what was counted since the last minute.
    server.restart().await;
    let records = server.records(&reader, "kind=refusals").await;
    let counted = records.iter().filter(|record| record["reason"] == "overloaded");
    let counted: u64 = counted.map(|record| record["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, refused);
}
