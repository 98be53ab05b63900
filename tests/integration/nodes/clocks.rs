//! Nodes whose clocks are wrong: they take no changes, and the others say so.

use std::{
    fmt::Display,
    fs,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::trio::{Trio, good};
use crate::{
    harness::{PATIENCE, Server, json_of, run},
    wrong_clocks::library,
};

const HANDLE: &str = "+14155550123";
const NAMES: [&str; 3] = ["a", "b", "c"];
/// A day, in seconds: no key of the log is destroyed by such a clock.
const DAY: i64 = 86_400;

/// Sets by how many seconds the wall clock of a node is off. Its kernel says that a time service keeps it right.
fn set_clock(server: &Server, seconds: impl Display) {
    let file = server.data.with_extension("offset");
    let new = file.with_extension("new");
    fs::write(&new, format!("{seconds} s")).unwrap();
    fs::rename(new, file).unwrap();
}

/// Three nodes, each with a wall clock that the test sets.
async fn trio() -> Trio {
    trio_off_by([0.0; 3]).await
}

/// The same, each off by so many seconds.
pub(super) async fn trio_off_by(seconds: [f64; 3]) -> Trio {
    let mut trio = Trio::start().await;
    for (server, seconds) in trio.nodes.iter_mut().zip(seconds) {
        let file = server.data.with_extension("offset");
        set_clock(server, seconds);
        server.set_process_env(&[
            ("LD_PRELOAD", library().to_str().unwrap()),
            ("WALL_CLOCK_OFFSET", file.to_str().unwrap()),
        ]);
    }
    for server in &mut trio.nodes {
        assert!(server.stop().await.success());
        server.spawn().await;
    }
    trio
}

async fn signs_up(server: &Server) -> (StatusCode, Value) {
    json_of(server.phone(Method::POST, "/v1/devices").json(&json!({"platform": "ios"}))).await
}

/// Waits until a node is ready, or says something with this text.
async fn until(trio: &Trio, node: usize, text: Option<&str>) {
    let begun = Instant::now();
    loop {
        let (status, body) = trio.readiness(node).await;
        let is_so = text.map_or(status == StatusCode::OK, |text| body.contains(text));
        if is_so {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{}: {body}", NAMES[node]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_node_that_starts_with_a_wrong_clock_never_takes_a_change() {
    let mut trio = trio().await;
    assert!(trio.nodes[2].stop().await.success());
    set_clock(&trio.nodes[2], 2);
    trio.nodes[2].spawn().await;
    let (status, body) = signs_up(&trio.nodes[2]).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"registry-behind".into())
    );
    until(&trio, 2, Some("at least half of the nodes' clocks")).await;
    for node in [0, 1] {
        assert_eq!(signs_up(&trio.nodes[node]).await.0, StatusCode::CREATED, "{}", NAMES[node]);
    }
    // Of two clocks nobody can tell which one is wrong.
    assert!(trio.nodes[1].stop().await.success());
    until(&trio, 0, Some("at least half of the nodes' clocks")).await;
    assert_eq!(signs_up(&trio.nodes[0]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    set_clock(&trio.nodes[2], 0);
    for node in [0, 2] {
        until(&trio, node, None).await;
        assert_eq!(signs_up(&trio.nodes[node]).await.0, StatusCode::CREATED, "{}", NAMES[node]);
    }
}

#[tokio::test]
async fn an_entry_from_the_future_stops_changes_until_an_operator_trusts_the_clock_of_a_node() {
    let mut trio = trio().await;
    let admin = trio.nodes[0].operator_token("adm", "admin");
    let ann = trio.nodes[0].sign_up().await;
    trio.nodes[0].prove(&ann, HANDLE).await;
    for server in &mut trio.nodes {
        assert!(server.stop().await.success());
    }
    // Nobody says that its clock is wrong.
    set_clock(&trio.nodes[2], DAY);
    trio.nodes[2].spawn().await;
    assert_eq!(signs_up(&trio.nodes[2]).await.0, StatusCode::CREATED);
    for node in [0, 1] {
        trio.nodes[node].spawn().await;
    }
    for node in [0, 1] {
        until(&trio, node, Some("dispatchd clock trust")).await;
        assert_eq!(signs_up(&trio.nodes[node]).await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(trio.nodes[node].route(&ann, HANDLE).await, "imessage", "lookups go on");
    }
    let (_, report) = trio.status(0, &admin);
    assert!(report["held"].as_str().unwrap().contains("decided later"), "{report}");

    let operators = trio.nodes[0].operators.clone();
    let words = ["clock", "trust", "--server", &operators];
    good(&run(trio.nodes[0].command_for(&words).env("DISPATCHD_TOKEN", &admin)));
    until(&trio, 0, None).await;
    assert_eq!(signs_up(&trio.nodes[0]).await.0, StatusCode::CREATED);
    // The entry of the present ends it for all whose clocks are right.
    until(&trio, 1, None).await;
    assert_eq!(signs_up(&trio.nodes[1]).await.0, StatusCode::CREATED);
    assert_eq!(signs_up(&trio.nodes[2]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    set_clock(&trio.nodes[2], 0);
    until(&trio, 2, None).await;
    assert_eq!(signs_up(&trio.nodes[2]).await.0, StatusCode::CREATED);
    assert_eq!(trio.nodes[2].route(&ann, HANDLE).await, "imessage");
}
