//! On a full disk no refusal counts as an answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Scrape, Tally, lookup, request};
use crate::{
    connection::Wire,
    disk_full::SmallDisk,
    harness::{PATIENCE, Server},
};

/// Clients that go on asking while the disk fills and is freed.
const CLIENTS: usize = 6;
const BATCH: usize = 50;

/// Asks until `stop`, alone and in batches, and counts the answers.
fn client(url: &str, token: &str, stop: &AtomicBool) -> (Tally, Tally) {
    let (mut requests, mut lookups) = (Tally::default(), Tally::default());
    let mut wire = Wire::connect(url).unwrap();
    let handles: Vec<_> = (0..BATCH).map(|n| format!("+1415555{n:04}")).collect();
    let batch = json!({"handles": handles});
    while !stop.load(SeqCst) {
        for (call, method, path, body, count) in [
            ("lookup", "GET", "/v1/lookup/%2B14155550123", &Value::Null, 1),
            ("lookUpBatch", "POST", "/v1/lookup", &batch, BATCH),
        ] {
            let reply = wire.ask(method, path, token, body).unwrap();
            if reply.status == 200 {
                requests.add(request(call, 200, None), 1);
                lookups.add(lookup("sms", "never-registered"), count);
            } else {
                let problem = reply.text("code");
                requests.add(request(call, reply.status, Some(&problem)), 1);
                lookups.add(lookup("refused", &problem), count);
            }
        }
    }
    (requests, lookups)
}

/// Scrapes until `is_so`, and does `between` before each further scrape.
async fn scrape_until(
    server: &Server,
    what: &str,
    is_so: impl Fn(&Scrape) -> bool,
    between: impl Fn(),
) -> Scrape {
    let started = Instant::now();
    loop {
        let scrape = Scrape::of(server).await;
        if is_so(&scrape) {
            return scrape;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}: {scrape:#?}");
        between();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fills the disk until lookups are refused, and frees it.
async fn fill_and_free(server: &Server, disk: &SmallDisk) {
    let answered = |scrape: &Scrape| scrape.sum("lookups_total", r#""sms""#);
    scrape_until(server, "lookups are answered", |it| answered(it) > 1_000.0, || {}).await;
    // The disk is looked at each second.
    let is_low = |scrape: &Scrape| {
        let of_log = |name: &str| scrape.value(&format!("{name}{{directory=\"log\"}}"));
        of_log("disk_free_bytes") < of_log("disk_reserve_bytes")
    };
    let is_refusing = |scrape: &Scrape| {
        let refused = scrape.sum("lookups_total", r#"reason="log-unwritable""#);
        refused > 2_000.0 && scrape.value("log_writable") == 0.0 && is_low(scrape)
    };
    let full = scrape_until(server, "lookups are refused", is_refusing, || disk.fill()).await;
    disk.free();
    let is_back = |scrape: &Scrape| {
        answered(scrape) > answered(&full) + 1_000.0 && scrape.value("log_writable") == 1.0
    };
    scrape_until(server, "lookups are answered again", is_back, || {}).await;
}

async fn a_full_disk_is_counted_as_it_is_answered(test: &str, durability: &str) {
    let Some(disk) = SmallDisk::mount("data", &format!("metrics::full_disk::{test}")) else {
        return;
    };
    let env = [("LOG__DURABILITY", durability), ("KEYS__RESERVE", "1MiB")];
    let mut server = Server::on(&disk.path, &env).await;
    let (token, stop) = (server.sign_up().await.token, Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (url, token, stop) = (server.phones.clone(), token.clone(), Arc::clone(&stop));
            thread::spawn(move || client(&url, &token, &stop))
        })
        .collect();
    fill_and_free(&server, &disk).await;
    stop.store(true, SeqCst);
    let (mut requests, mut lookups) = (Tally::default(), Tally::default());
    for client in clients {
        let (answers, asked) = client.join().unwrap();
        requests.merge(answers);
        lookups.merge(asked);
    }
    requests.add(request("signUp", 201, None), 1);
    let scrape = Scrape::of(&server).await;
    requests.is(&scrape.of_phones(), "http_requests_total");
    lookups.is(&scrape, "lookups_total");
    // Each answer has its record. A refused lookup may have one, too: its write failed half-way.
    let reader = server.operator_token("reader", "reader");
    let records = server.records(&reader, "kind=lookup&route=sms").await.len();
    let answered = scrape.value(&format!("lookups_total{{{}}}", lookup("sms", "never-registered")));
    assert!(records as f64 >= answered, "{records} records of {answered} answers");
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_full_disk_is_counted_as_it_is_answered_in_disk_mode() {
    a_full_disk_is_counted_as_it_is_answered(
        "a_full_disk_is_counted_as_it_is_answered_in_disk_mode",
        "disk",
    )
    .await;
}

#[tokio::test]
async fn a_full_disk_is_counted_as_it_is_answered_in_os_mode() {
    a_full_disk_is_counted_as_it_is_answered(
        "a_full_disk_is_counted_as_it_is_answered_in_os_mode",
        "os",
    )
    .await;
}
