//! The nodes hold the keys of each other's hours: also one that was killed, and one that was away while its neighbour was.

use std::path::Path;

use dispatchd::{
    clock::{Hour, ManualClock, Timestamp},
    cluster::MemberKeyFiles,
    envelope::{KeyFiles, Keyring},
    query_log::{Filter, LogReader, Order},
    registry::NodeId,
};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    days::{DAY, Days, HOUR},
    trio::{Trio, good, said},
};
use crate::{
    harness::{PATIENCE, Server, json_of, run},
    metrics::Scrape,
};

const HANDLE: &str = "+14155550123";

/// The number of the node with this data directory.
fn number(data: &Path) -> NodeId {
    let text = std::fs::read(data.join("cluster.json")).unwrap();
    NodeId(serde_json::from_slice::<Value>(&text).unwrap()["node"].as_u64().unwrap())
}

/// Where a node keeps the keys of another one's hours.
pub(super) fn held(holder: &Path, owner: &Path) -> KeyFiles {
    MemberKeyFiles::new(holder, None).of(number(owner))
}

/// Every key of a keyring. None while it is made or changed.
fn keys(files: KeyFiles) -> Option<Vec<(Hour, [u8; 32])>> {
    let keyring = Keyring::open_read_only(files).ok()?;
    Some(keyring.hours().into_iter().map(|it| (it, *keyring.get(it).unwrap().reveal())).collect())
}

fn own(data: &Path) -> KeyFiles {
    KeyFiles::new(&data.join("keys"), None)
}

/// Waits until a node holds every key of another one's hours, and there is one.
pub(super) async fn until_held(holder: &Server, owner: &Server) {
    let begun = Instant::now();
    loop {
        let (own, held) = (keys(own(&owner.data)), keys(held(&holder.data, &owner.data)));
        if own.as_ref().is_some_and(|own| !own.is_empty()) && own == held {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{held:?}\n{}", holder.output());
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The same for all that run.
pub(super) async fn until_all_hold(trio: &Trio, running: &[usize]) {
    for (holder, owner) in
        running.iter().flat_map(|it| running.iter().map(move |other| (it, other)))
    {
        if holder != owner {
            until_held(&trio.nodes[*holder], &trio.nodes[*owner]).await;
        }
    }
}

/// Counts the records of a log that these keys open, without a retention limit.
pub(super) fn opens(log: &Path, keys: KeyFiles, now: Timestamp) -> usize {
    let lenient = std::time::Duration::from_secs(100 * 365 * DAY);
    let reader = LogReader::open_read_only(log, keys, ManualClock::at(now), lenient);
    reader.map_or(0, |it| {
        it.search(&Filter::default(), Order::Asc, None).filter(Result::is_ok).count()
    })
}

/// What a node knows of the oldest of its hours that nobody else holds, as a metric.
async fn unshared(node: &Server) -> f64 {
    Scrape::of(node).await.value("cluster_unshared_hour_timestamp_seconds")
}

/// What `log prove-forgotten` of a node says of all.
fn proved(node: &Server, token: &str) -> std::process::Output {
    let words = ["log", "prove-forgotten", "--server", &node.operators];
    run(node.command_for(&words).env("DISPATCHD_TOKEN", token))
}

#[tokio::test]
async fn a_node_that_was_killed_and_one_that_was_away_get_what_they_missed_from_anybody() {
    let mut days = Days::start().await;
    let device = days.trio.nodes[0].sign_up().await;
    days.trio.nodes[0].prove(&device, HANDLE).await;
    until_all_hold(&days.trio, &[0, 1, 2]).await;

    // Node b is killed. Meanwhile an hour begins at a, and c takes its key.
    days.trio.nodes[1].kill();
    days.pass(HOUR, &[0, 2]).await;
    for node in [0, 2] {
        days.trio.nodes[node].lookup(&device, HANDLE).await;
    }
    until_all_hold(&days.trio, &[0, 2]).await;
    // Then a is killed. So b, when it returns, gets the keys of a from c.
    days.trio.nodes[0].kill();
    days.trio.nodes[1].spawn().await;
    until_held(&days.trio.nodes[1], &days.trio.nodes[2]).await;
    until_held(&days.trio.nodes[1], &days.trio.nodes[0]).await;
    let [a, b, c] = &days.trio.nodes[..] else { unreachable!("three nodes") };
    // With them it reads a copy of the log of a, also the hour that was being written.
    let copy = b.data.with_file_name("copy");
    crate::retention::copy(&a.data.join("log"), &copy);
    let records = opens(&copy, own(&a.data), days.now());
    assert!(0 < records);
    assert_eq!(opens(&copy, held(&b.data, &a.data), days.now()), records);
    assert_eq!(opens(&copy, held(&b.data, &c.data), days.now()), 0, "those of c open other files");

    days.trio.nodes[0].spawn().await;
    until_all_hold(&days.trio, &[0, 1, 2]).await;
    for node in &days.trio.nodes {
        let begun = Instant::now();
        while unshared(node).await > 0.0 {
            assert!(begun.elapsed() < PATIENCE, "{}", node.output());
            sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn all_nodes_are_asked_what_they_forgot_and_one_that_is_silent_is_named() {
    let mut trio = Trio::start().await;
    let token = trio.nodes[0].operator_token("ann", "reader");
    // Each node records it.
    trio.nodes[0].sign_up().await;
    until_all_hold(&trio, &[0, 1]).await;
    let asked = proved(&trio.nodes[1], &token);
    good(&asked);
    let text = String::from_utf8(asked.stdout).unwrap();
    assert!(
        text.contains("\nnode a:\n") && text.contains("\nnode c:\n") && !text.contains("NO:"),
        "{text}"
    );

    // What should not be there is found by the node on whose machine it lies.
    std::fs::create_dir(trio.nodes[2].data.join("keys/members/left-over")).unwrap();
    let (status, report) = json_of(trio.nodes[0].operator(&token, "/v1/log/forgotten")).await;
    assert_eq!((status, &report["proved"]), (StatusCode::OK, &Value::Bool(false)));
    assert_eq!(report["findings"], serde_json::json!([]), "not on this one");
    let of_c = &report["others"][1];
    assert_eq!((&of_c["node"], &of_c["error"]), (&"c".into(), &Value::Null));
    assert_eq!(of_c["report"]["findings"][0]["name"], "keys/members/left-over");
    let asked = proved(&trio.nodes[0], &token);
    assert!(!asked.status.success() && said(&asked).contains("should be forgotten"), "{asked:?}");
    std::fs::remove_dir(trio.nodes[2].data.join("keys/members/left-over")).unwrap();
    good(&proved(&trio.nodes[0], &token));

    trio.nodes[2].kill();
    let asked = proved(&trio.nodes[0], &token);
    assert!(!asked.status.success() && said(&asked).contains("the node c"), "{asked:?}");
    let text = String::from_utf8(asked.stdout).unwrap();
    assert!(text.contains("\nnode c:\nNO: it did not answer"), "{text}");
}

#[tokio::test]
async fn a_node_that_is_removed_gets_nothing_more_and_one_that_leaves_keeps_nothing() {
    let mut trio = Trio::start().await;
    trio.nodes[0].sign_up().await;
    until_all_hold(&trio, &[0, 1, 2]).await;
    good(&run(&mut trio.nodes[0].command_for(&["cluster", "remove", "c"])));
    // The others keep what they have of it: its log may still be read from a copy.
    let of_c = keys(own(&trio.nodes[2].data)).unwrap();
    // It goes on running, and asks in vain.
    let begun = Instant::now();
    while !trio.nodes[2].output().contains("no keys of hours come from a member") {
        assert!(begun.elapsed() < PATIENCE, "{}", trio.nodes[2].output());
        sleep(std::time::Duration::from_millis(100)).await;
    }
    trio.nodes[0].restart().await;
    assert_eq!(keys(held(&trio.nodes[0].data, &trio.nodes[2].data)), Some(of_c));

    for node in [1, 2] {
        assert!(trio.nodes[node].stop().await.success());
    }
    let members = trio.nodes[1].data.join("keys/members");
    assert!(members.is_dir());
    good(&run(&mut trio.nodes[1].command_for(&["cluster", "leave"])));
    assert!(!members.exists());
}
