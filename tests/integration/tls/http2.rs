//! HTTP/2 as RFC 9113 wants it, case by case, and floods of it (`tests/tools/http2_cases.py`).

use std::{
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::*;
use crate::{harness::say, python::python};

/// Where the HTTP library differs from the standard. It reads no field of such trailers, and neither does the server.
const DEVIATIONS: [&str; 1] = ["8.1.2.1/3 a pseudo field in trailers"];
/// Floods, each by a client of its own. The last one is by a device with a token.
const FLOODS: [&str; 9] = [
    "rapid reset",
    "made you reset",
    "continuation",
    "empty continuation",
    "settings",
    "ping",
    "empty data",
    "priority",
    "no window",
];
/// How long those floods last that the server does not end.
const FLOOD_SECONDS: &str = "5";
/// How much memory all floods together may take.
const GROWTH_MAX: u64 = 64 << 20;

fn cases(tls: &TlsServer, words: &[&str]) -> Command {
    let address = tls.phones();
    let (_, port) = address.rsplit_once(':').unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/http2_cases.py");
    let mut command = Command::new(python());
    command.args([script, words[0], port]).arg(&tls.authority.ca).args(&words[1..]);
    command.stdin(Stdio::null());
    command
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_case_of_the_standard_is_answered_as_it_wants() {
    let mut tls = TlsServer::start().await;
    let ran = lines(&cases(&tls, &["cases"]).output().unwrap());
    assert!(ran.len() > 70, "{}", ran.len());
    let names = |is: &str| -> Vec<_> {
        let cases = ran.iter().filter(|case| case[is] != true);
        cases.map(|case| case["case"].as_str().unwrap()).collect()
    };
    assert_eq!(names("is_right"), DEVIATIONS, "{ran:#?}");
    say(&format!("HTTP/2: {} cases, with another error code: {:?}", ran.len(), names("is_exact")));
    assert!(tls.server.stop().await.success());
    // Its clients chose what the server did, so it has nothing to say about them.
    let said = tls.server.output();
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
}

/// The resident memory of a process in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn floods_take_little_memory_and_others_are_answered_meanwhile() {
    let tls = TlsServer::start().await;
    let ann = tls.server.sign_up().await;
    tls.server.prove(&ann, "+14155550123").await;
    // What a first client of each protocol needs once.
    for _ in 0..100 {
        assert_eq!(tls.server.route(&ann, "+14155550123").await, "imessage");
    }
    let before = resident(tls.server.pid());
    let floods: Vec<_> = FLOODS
        .iter()
        .map(|name| {
            let mut command = cases(&tls, &["flood", name, FLOOD_SECONDS, &ann.token]);
            thread::spawn(move || command.output().unwrap())
        })
        .collect();
    let (mut most, mut answered) = (before, 0_u32);
    let began = Instant::now();
    while floods.iter().any(|flood| !flood.is_finished()) {
        assert_eq!(tls.server.route(&ann, "+14155550123").await, "imessage");
        answered += 1;
        most = most.max(resident(tls.server.pid()));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < PATIENCE, "the floods do not end");
    }
    for (name, flood) in FLOODS.iter().zip(floods) {
        let ended = lines(&flood.join().unwrap()).remove(0);
        let (bytes, got) = (ended["bytes"].as_u64().unwrap(), &ended["got"]);
        say(&format!("flood of {name}: {bytes} bytes, {got}"));
        assert!(bytes > 0);
        // Work without answers ends the connection. The others are merely read, as fast as they are answered.
        let is_harmless = ["settings", "ping", "priority", "no window"].contains(name);
        assert!(is_harmless || got == "closed", "{name}");
    }
    let grown = most - before;
    say(&format!("floods took {grown} bytes; {answered} lookups were answered meanwhile"));
    assert!(grown <= GROWTH_MAX, "{grown} bytes");
    assert!(answered > 0);
}
