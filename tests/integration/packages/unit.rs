//! The systemd unit: valid, hardened, and with a filter that allows what the server does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Server, dispatchd, json_of, run, wait_until},
    repository::{debian_program, file, text},
};

const UNIT: &str = "config/systemd/dispatchd.service";

/// systemd-analyze. It works without a running systemd.
fn analyze(words: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).stdin(Stdio::null()).output();
    let output =
        output.expect("systemd-analyze, of the Debian package systemd; `tests/run` installs it");
    let [told, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), told + &errors)
}

/// The values of a key of the unit.
fn values(key: &str) -> Vec<String> {
    let prefix = format!("{key}=");
    text(UNIT).lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[test]
fn the_unit_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("dispatchd.service");
    let binary = env!("CARGO_BIN_EXE_dispatchd");
    fs::write(&unit, text(UNIT).replace("/usr/bin/dispatchd", binary)).unwrap();
    let (is_valid, told) = analyze(&["verify", "--man=no", unit.to_str().unwrap()]);
    assert!(is_valid && told.is_empty(), "{told}");
    // An unknown key shows: the check checks something.
    fs::write(&unit, text(UNIT).replace("LimitCORE", "LimitCOR")).unwrap();
    let (_, told) = analyze(&["verify", "--man=no", unit.to_str().unwrap()]);
    assert!(told.contains("LimitCOR'"), "{told}");
}

/// 20 is an exposure of 2.0 of 10.
#[test]
fn the_unit_is_hardened() {
    let path = file(UNIT);
    let words =
        ["security", "--offline=true", "--no-pager", "--threshold=20", path.to_str().unwrap()];
    let (is_below, told) = analyze(&words);
    assert!(is_below, "{told}");
    // Both would make the clock's check blind.
    assert_eq!(values("ProtectClock"), ["no"]);
    assert_eq!(values("ProcSubset"), ["all"]);
}

#[test]
fn the_unit_gives_a_stop_more_time_than_the_server_takes() {
    let seconds = |text: &str| text.trim_end_matches('s').parse::<u64>().unwrap();
    let stop = seconds(&values("TimeoutStopSec")[0]);
    let config = text("config/dispatchd.toml");
    let grace = config.lines().find_map(|line| line.strip_prefix("grace = \"")).unwrap();
    assert!(stop >= 2 * seconds(grace.trim_end_matches('"')) + 30, "{stop}");
}

/// The sets of system calls that the filters of units name.
fn call_sets() -> BTreeMap<String, Vec<String>> {
    let (_, told) = analyze(&["syscall-filter", "--no-pager"]);
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut set = String::new();
    for line in told.lines() {
        if line.starts_with('@') {
            set = line.trim().to_owned();
        } else if line.starts_with("    ") && !line.trim().starts_with('#') {
            sets.entry(set.clone()).or_default().push(line.trim().to_owned());
        }
    }
    sets
}

fn add_calls(name: &str, sets: &BTreeMap<String, Vec<String>>, calls: &mut BTreeSet<String>) {
    if !name.starts_with('@') {
        calls.insert(name.to_owned());
    }
    for part in sets.get(name).into_iter().flatten() {
        add_calls(part, sets, calls);
    }
}

/// The calls that the lines SystemCallFilter= of the unit allow.
fn allowed() -> BTreeSet<String> {
    let sets = call_sets();
    let mut allowed = BTreeSet::new();
    for line in values("SystemCallFilter") {
        let is_denied = line.starts_with('~');
        for name in line.trim_start_matches('~').split(' ') {
            let mut calls = BTreeSet::new();
            add_calls(name, &sets, &mut calls);
            if is_denied {
                allowed.retain(|call| !calls.contains(call));
            } else {
                allowed.extend(calls);
            }
        }
    }
    allowed
}

/// The names of the calls in a trace of strace.
fn traced(trace: &Path) -> BTreeSet<String> {
    let trace = fs::read_to_string(trace).unwrap();
    let name = |line: &str| {
        let call = line.split_whitespace().nth(1)?.split_once('(')?.0.to_owned();
        call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(call)
    };
    trace.lines().filter_map(name).collect()
}

#[tokio::test]
async fn the_filter_allows_every_call_that_the_server_makes() {
    let allowed = allowed();
    for (call, is_allowed) in [("clock_adjtime", true), ("setpriority", true), ("pwrite64", true)]
        .into_iter()
        .chain([("clock_settime", false), ("mount", false), ("sched_setscheduler", false)])
    {
        assert_eq!(allowed.contains(call), is_allowed, "{call}");
    }

    let folder = tempfile::tempdir().unwrap();
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let mut traced_server = debian_program("usr/bin/strace");
    let binary = dispatchd().get_program().to_owned();
    let output = fs::File::create(folder.path().join("output")).unwrap();
    traced_server
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args(["-E", "LD_LIBRARY_PATH"])
        .arg(binary)
        .arg("serve")
        .env("DISPATCHD_SERVER__DATA", &data)
        .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
        .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    let mut tracer = traced_server.spawn().unwrap();
    let addresses = data.join("addresses.json");
    wait_until("the server runs", || {
        assert!(
            tracer.try_wait().unwrap().is_none(),
            "{:?}",
            fs::read_to_string(folder.path().join("output"))
        );
        addresses.exists()
    });
    let addresses = serde_json::from_slice(&fs::read(&addresses).unwrap()).unwrap();
    let server = Server::within(&data, addresses);
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    assert_eq!(server.route(&ann, "+14155550123").await, "imessage");
    let batch = server.phone(Method::POST, "/v1/lookup").bearer_auth(&ann.token);
    assert!(json_of(batch.json(&json!({"handles": ["+14155550124"]}))).await.0.is_success());
    let admin = server.operator_token("admin", "admin");
    assert_eq!(server.records(&admin, "kind=lookup").await.len(), 2);
    let pid = fs::read_to_string(data.join("lock")).unwrap();
    assert!(run(Command::new("kill").args(["-TERM", pid.trim()])).status.success());
    assert!(tracer.wait().unwrap().success());

    let calls = traced(&trace);
    assert!(calls.len() > 30 && calls.contains("clock_adjtime"), "{calls:?}");
    // The first is the tracer's.
    let denied: Vec<_> = calls.difference(&allowed).collect();
    assert!(denied.is_empty(), "{denied:?}");
}
