//! `dispatchd doctor` on a node: it finds what is wrong with etcd and with the other nodes.

use std::time::{Duration, Instant};

use dispatchd::{
    limits::{ETCD_TRY_TIMEOUT, SHARED_LOG_ENTRY_MAX},
    shared_log::{Appended, EngineError, Head, SharedLog as _, etcd::Fence},
};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::sleep;

use super::trio::{Trio, good};
use crate::{
    harness::{PATIENCE, Server, json_of, own_port, run},
    shared_log::cluster::Cluster,
};

/// What an etcd member on this machine may be: old, and with a slow disk.
const OF_THE_MACHINE: [&str; 2] = ["20418", "a sync of the disk"];

/// The findings about etcd and nodes: check, severity, text, and what to do.
async fn found(server: &Server, token: &str) -> Vec<[String; 4]> {
    let (status, report) = json_of(server.operator(token, "/v1/doctor")).await;
    assert_eq!(status, 200, "{report}");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    let all = all.map(|it| ["check", "severity", "what", "to_do"].map(|key| text(it, key)));
    all.filter(|[check, _, what, _]| {
        ["engine", "nodes"].contains(&&**check)
            && !OF_THE_MACHINE.iter().any(|it| what.contains(it))
    })
    .collect()
}

/// Waits until there is exactly one finding, with this check, severity and text.
async fn until_one(server: &Server, token: &str, expected: [&str; 3]) -> [String; 4] {
    let (begun, [check, severity, what]) = (Instant::now(), expected);
    loop {
        let all = found(server, token).await;
        if let [one] = &*all
            && one[0] == check
            && one[1] == severity
            && one[2].contains(what)
        {
            return one.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{expected:?}: {all:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_node_and_a_member_of_etcd_that_are_away_are_found() {
    let mut trio = Trio::start().await;
    let reader = trio.nodes[0].operator_token("rea", "reader");
    let begun = Instant::now();
    while !found(&trio.nodes[0], &reader).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", found(&trio.nodes[0], &reader).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    trio.nodes[2].kill();
    let away = ["nodes", "warning", "the node c does not answer a"];
    let [.., to_do] = until_one(&trio.nodes[0], &reader, away).await;
    assert!(to_do.contains("dispatchd cluster remove"), "{to_do}");
    trio.nodes[2].spawn().await;
    trio.etcd.kill(2);
    let silent = format!("{} does not answer", trio.etcd.url(2));
    until_one(&trio.nodes[0], &reader, ["engine", "warning", &silent]).await;
    [0, 1].into_iter().for_each(|member| trio.etcd.kill(member));
    // Also what finds out why a node is cut off is answered while it is.
    until_one(&trio.nodes[0], &reader, ["engine", "error", "etcd cannot be asked"]).await;
    let stopped = run(trio.nodes[0].command_for(&["doctor", "--data"]).arg(&trio.nodes[0].data));
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    for check in ["engine", "nodes"] {
        assert!(said.contains(&format!("{check} cannot be checked with --data")), "{said}");
    }
}

#[tokio::test]
async fn those_who_ask_at_once_take_turns() {
    let trio = Trio::begin().await;
    let reader = trio.nodes[0].operator_token("rea", "reader");
    // Each check waits for its answer.
    trio.etcd.pause(2);
    let begun = Instant::now();
    let all = join_all([(); 4].map(|()| found(&trio.nodes[0], &reader))).await;
    let (spent, one) = (begun.elapsed(), ETCD_TRY_TIMEOUT);
    assert!(all.iter().all(|found| found.iter().any(|it| it[2].contains(trio.etcd.url(2)))));
    assert!(one * 7 / 2 < spent, "{spent:?}");
}

#[tokio::test]
async fn an_etcd_that_has_no_room_is_found_before_and_after_it_refuses_entries() {
    let etcd = Cluster::start(1, &["--quota-backend-bytes", "4000000"]).await;
    let folder = tempfile::tempdir().unwrap();
    let engine = serde_json::to_string(&etcd.urls()).unwrap();
    let operators = format!("127.0.0.1:{}", own_port());
    let env =
        [("CLUSTER__ENGINE", &*engine), ("CLUSTER__NODE", "a"), ("SERVER__OPERATORS", &operators)];
    let mut server = Server::stopped(&folder.path().join("data"), &env);
    good(&run(&mut server.command_for(&["cluster", "init"])));
    server.spawn().await;
    let reader = server.operator_token("rea", "reader");
    assert_eq!(found(&server, &reader).await, Vec::<[String; 4]>::new());

    // Another log in the same etcd fills it.
    let (log, mut head, mut was_warned) =
        (etcd.log_of(0, "other/", Fence::Write), Head::EMPTY, false);
    let entry = vec![7; SHARED_LOG_ENTRY_MAX / 8];
    loop {
        match log.append(head, &entry).await {
            Ok(Appended::Mine) => head = head.after(&entry),
            Ok(taken) => panic!("{taken:?}"),
            Err(EngineError::Unknown(text)) if text.contains("space") => break,
            Err(error) => panic!("{error}"),
        }
        assert!(head.place < 100, "there is space without end");
        // etcd counts its bytes ten times a second.
        sleep(Duration::from_millis(150)).await;
        let all = found(&server, &reader).await;
        let is_full = |it: &[String; 4]| it[1] == "warning" && it[2].contains("that it may have");
        was_warned |= all.iter().any(is_full);
    }
    assert!(was_warned, "it was full at once");
    let alarms: Vec<_> = found(&server, &reader).await;
    let alarm = alarms.iter().find(|it| it[1] == "error").expect("there is an alarm");
    assert!(alarm[2].contains("NOSPACE") && alarm[2].contains(etcd.url(0)), "{alarm:?}");
    assert!(alarm[3].contains("etcdctl alarm disarm"), "{alarm:?}");
}
