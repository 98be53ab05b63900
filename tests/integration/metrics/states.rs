//! The gauges: registry, log, disks, connections, process.

use std::{
    fs,
    time::{Duration, Instant},
};

use dispatchd::clock::{Clock as _, ManualClock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::Scrape;
use crate::{
    connection::Wire,
    harness::{PATIENCE, Server, own_port},
    timed::Timed,
    wire::{Reply, call, link},
};

const PLATFORMS: [&str; 6] = ["ios", "ipados", "macos", "watchos", "visionos", "other"];

/// The registry's counts are those of `GET /v1/registry`, which reads the whole index.
#[tokio::test]
async fn the_registry_is_counted_through_every_change_and_a_restart() {
    let mut server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    let second = link(&server, &ann).await;
    for handle in ["+14155550123", "ann@example.com", "+14155550124"] {
        server.prove(&ann, handle).await;
    }
    agree(&server, &reader, [2, 3, 3]).await;
    // It moves to another account.
    server.prove(&ben, "+14155550124").await;
    agree(&server, &reader, [2, 3, 3]).await;
    let path = "/v1/devices/me/handles/ann@example.com";
    call(&server, Method::DELETE, path, Some(&ann.token), None).await;
    agree(&server, &reader, [2, 3, 2]).await;
    let own = "/v1/devices/me";
    call(&server, Method::DELETE, own, Some(&second.token), None).await;
    agree(&server, &reader, [2, 2, 2]).await;
    server.restart().await;
    agree(&server, &reader, [2, 2, 2]).await;
    call(&server, Method::DELETE, own, Some(&ann.token), None).await;
    agree(&server, &reader, [1, 1, 1]).await;
}

/// Accounts, devices and handles.
async fn agree(server: &Server, reader: &str, expected: [u64; 3]) {
    let scrape = Scrape::of(server).await;
    let counts = Reply::to(server.operator(reader, "/v1/registry")).await.body;
    let counted = ["accounts", "devices", "handles"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(counted, expected);
    let value = |name: &str| scrape.value(name) as u64;
    let devices = PLATFORMS.map(|name| value(&format!("registry_devices{{platform=\"{name}\"}}")));
    let by_platform = PLATFORMS.map(|name| counts["by_platform"][name].as_u64().unwrap());
    assert_eq!(devices, by_platform);
    let sum = devices.iter().sum();
    assert_eq!([value("registry_accounts"), sum, value("registry_handles")], expected);
    assert_eq!(value("registry_live_devices"), counts["live"]["devices"].as_u64().unwrap());
}

#[tokio::test]
async fn a_new_server_is_well_and_says_so() {
    let server = Server::start().await;
    server.sign_up().await;
    let scrape = Scrape::of(&server).await;
    for (state, value) in [
        ("log_writable", 1.0),
        ("audit_writable", 1.0),
        ("registry_ready", 1.0),
        ("registry_writable", 1.0),
        ("registry_low_on_space", 0.0),
        ("clock_followed", 1.0),
        ("import_running", 0.0),
        ("log_sealing_lag_seconds", 0.0),
        ("log_retention_seconds", 30.0 * 24.0 * 3600.0),
        ("disk_reserve_bytes{directory=\"keys\"}", 0.0),
        ("disk_reserve_bytes{directory=\"audit\"}", 0.0),
    ] {
        assert_eq!(scrape.value(state), value, "{state}");
    }
    assert!(scrape.value("clock_ahead_seconds").abs() <= 1.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(scrape.value(&format!("build_info{{version=\"{version}\"}}")), 1.0);
    for directory in ["log", "registry", "audit", "keys"] {
        assert!(scrape.value(&format!("disk_free_bytes{{directory=\"{directory}\"}}")) > 0.0);
    }
    assert!(scrape.value("disk_reserve_bytes{directory=\"log\"}") > 0.0);
    assert!(scrape.value("registry_commit_duration_seconds_count") >= 1.0);
    let process = |name: &str| scrape.0[&format!("process_{name}")];
    let started = process("start_time_seconds");
    // The key of the present hour began at most an hour before the process, or a moment after it.
    let key = scrape.value("log_oldest_key_timestamp_seconds");
    assert!(key % 3600.0 == 0.0 && (-3610.0..60.0).contains(&(key - started)), "{key} {started}");
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as f64;
    assert!((process("open_fds") - open).abs() < 20.0, "{open}");
    assert!(process("max_fds") > process("open_fds"));
    assert!(process("resident_memory_bytes") > 1e6 && process("threads") > 2.0);
    assert!(process("cpu_seconds_total") > 0.0);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open_and_when_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::stopped(&folder.path().join("data"), &[]);
    server.limit_open_files(64);
    server.spawn().await;
    let mut held = Vec::new();
    let mut closed = 0;
    while closed < 5 {
        let mut wire = Wire::connect(&server.phones).unwrap();
        match wire.ask("GET", "/livez", "", &Value::Null) {
            Ok(reply) if reply.status == 200 => held.push(wire),
            _ => closed += 1,
        }
    }
    let scrape = Scrape::of(&server).await;
    assert_eq!(scrape.value("http_connections{listener=\"phones\"}"), held.len() as f64);
    let refused =
        |scrape: &Scrape| scrape.value("http_connections_refused_total{listener=\"phones\"}");
    assert_eq!(refused(&scrape), closed as f64);
    assert!(scrape.value("http_connections{listener=\"operators\"}") >= 1.0);
    drop(held);
    let started = Instant::now();
    while Scrape::of(&server).await.value("http_connections{listener=\"phones\"}") > 0.0 {
        assert!(started.elapsed() < PATIENCE, "closed connections are counted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Without a place to note who reads, reading is refused, and the metrics say why.
#[tokio::test]
async fn an_audit_log_that_cannot_be_written_is_told() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    server.records(&reader, "kind=lookup").await;
    let audit = server.data.join("audit");
    let away = server.data.join("audit-away");
    fs::rename(&audit, &away).unwrap();
    fs::write(&audit, "").unwrap();
    Reply::to(server.operator(&reader, "/v1/log")).await.refuses(503, "audit-unwritable");
    assert_eq!(Scrape::of(&server).await.value("audit_writable"), 0.0);
    fs::remove_file(&audit).unwrap();
    fs::rename(&away, &audit).unwrap();
    assert_eq!(Reply::to(server.operator(&reader, "/v1/log")).await.status, 200);
    assert_eq!(Scrape::of(&server).await.value("audit_writable"), 1.0);
}

/// Nothing listens at the gateway: after some failed attempts, no code is sent there for now.
#[tokio::test]
async fn a_paused_delivery_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "correct-horse-battery-staple\n").unwrap();
    let gateway = format!("http://127.0.0.1:{}/", own_port());
    let server = Server::start_with(&[
        ("OWNERSHIP__DELIVERY__TEXT__URL", &gateway),
        ("OWNERSHIP__DELIVERY__TEXT__SECRET_FILE", secret.to_str().unwrap()),
    ])
    .await;
    let paused = async || {
        let scrape = Scrape::of(&server).await;
        ["text", "mail"].map(|way| scrape.value(&format!("delivery_paused{{method=\"{way}\"}}")))
    };
    assert_eq!(paused().await, [0.0, 0.0]);
    let ann = server.sign_up().await;
    for n in 0..6 {
        let body = Some(json!({"handle": format!("+1415555010{n}")}));
        let path = "/v1/devices/me/handles";
        call(&server, Method::POST, path, Some(&ann.token), body)
            .await
            .refuses(502, "delivery-failed");
    }
    assert_eq!(paused().await, [1.0, 0.0]);
}

/// An import of some accounts is over when the command returns.
#[tokio::test]
async fn imported_accounts_are_counted() {
    let server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    let now = Reply::to(server.operator(&admin, "/v1/clock")).await.body["trusted"].clone();
    let rows: String = (0..500)
        .map(|n| format!("+1415555{n:04},a{n},d{n},macos,{}\n", now.as_str().unwrap()))
        .collect();
    let file = server.data.with_extension("csv");
    fs::write(&file, format!("handle,account,device,platform,last_check_in_at\n{rows}")).unwrap();
    let mut import = crate::harness::dispatchd();
    import.args(["registry", "import", "--server", &server.operators]).arg(&file);
    let output = crate::harness::run(import.env("DISPATCHD_TOKEN", &admin));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scrape = Scrape::of(&server).await;
    assert_eq!(scrape.value("registry_handles"), 500.0);
    assert_eq!(scrape.value("registry_devices{platform=\"macos\"}"), 500.0);
    assert_eq!(scrape.value("registry_live_devices"), 500.0);
    assert_eq!(scrape.value("import_running"), 0.0);
}

/// The ages of the log and the lapse of a lease, on a clock that the test moves.
#[tokio::test]
async fn the_log_s_ages_follow_its_hours_and_a_lapsed_device_is_not_live() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Timestamp::from_secs(500_000 * 3_600);
    let clock = ManualClock::at(begin);
    let timed = Timed::on(&folder.path().join("data"), clock, |_| {}).await;
    let ages = async || {
        let scrape = Scrape::of(&timed.server).await;
        let oldest = scrape.0.get("dispatchd_log_oldest_key_timestamp_seconds").copied();
        (scrape.value("log_sealing_lag_seconds"), oldest, scrape.value("registry_live_devices"))
    };
    let first = Some(begin.as_secs() as f64);
    let ann = timed.server.sign_up().await;
    assert_eq!(ages().await, (0.0, first, 1.0));
    timed.clock.advance(Duration::from_secs(90 * 60));
    assert_eq!(ages().await, (1_800.0, first, 1.0));
    // The record of the next hour finishes the segment of the first.
    timed.server.lookup(&ann, "+14155550123").await;
    timed.running().tick_sealing();
    assert_eq!(ages().await, (0.0, first, 1.0));

    timed.clock.advance(Duration::from_secs(31 * 24 * 3_600));
    timed.running().tick_retention();
    timed.tick().await;
    let (_, oldest, live) = ages().await;
    let now = timed.clock.now().as_secs() as f64;
    assert!(oldest.is_some_and(|oldest| oldest > now - 3_600.0), "{oldest:?} at {now}");
    assert_eq!(live, 0.0);
}
