//! A data directory is copied, and both run: two processes take themselves for one node.

use std::{process::Command, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::days::{DAY, Days};
use crate::harness::{PATIENCE, Server, json_of, own_port, run};

const HANDLE: &str = "+14155550123";

/// A copy of what node b has now, which does not run. It is to run at another address.
fn copied(days: &Days) -> Server {
    let data = days.trio.nodes[1].data.with_file_name("copy");
    // With the modes of the files.
    let made = run(Command::new("cp").arg("-a").args([&days.trio.nodes[1].data, &data]));
    assert!(made.status.success());
    let mut copied = days.node("b", &data);
    let [phones, operators] = [own_port(), own_port()].map(|port| format!("127.0.0.1:{port}"));
    copied.add_env(&[("SERVER__PHONES", &phones), ("SERVER__OPERATORS", &operators)]);
    copied
}

/// Waits until a node says that it is a copy.
async fn until_held(node: &Server) {
    let begun = Instant::now();
    loop {
        let (status, body) = json_of(node.phone(Method::GET, "/readyz")).await;
        if status == StatusCode::SERVICE_UNAVAILABLE
            && body.to_string().contains("another process runs as this node")
        {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {body}\n{}", node.output());
        sleep(Duration::from_millis(50)).await;
    }
}

/// What a node answers to somebody who signs up.
async fn signs_up(node: &Server) -> StatusCode {
    json_of(node.phone(Method::POST, "/v1/devices").json(&json!({"platform": "ios"}))).await.0
}

#[tokio::test]
async fn the_copy_of_a_node_is_refused_changes_and_takes_nothing_from_the_node() {
    let mut days = Days::start().await;
    let admin = days.trio.nodes[0].operator_token("adm", "admin");
    assert!(days.trio.nodes[1].stop().await.success());
    let mut second = copied(&days);
    days.trio.nodes[1].spawn().await;
    // Now the two have different receiving keys.
    days.pass(DAY, &[0, 1, 2]).await;
    days.until_keys(&[0, 1, 2], |numbers| numbers.len() <= 2).await;

    second.spawn().await;
    assert_eq!(signs_up(&second).await, StatusCode::SERVICE_UNAVAILABLE, "it has compared nothing");
    until_held(&second).await;
    assert_eq!(signs_up(&second).await, StatusCode::SERVICE_UNAVAILABLE);
    let ann = days.trio.nodes[1].sign_up().await;
    days.trio.nodes[1].prove(&ann, HANDLE).await;
    for node in &days.trio.nodes {
        assert_eq!(node.route(&ann, HANDLE).await, "imessage");
    }
    let metrics = second.operator(&admin, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dispatchd_cluster_held{reason=\"copied\"} 1"), "{metrics}");
    // The next keys are sealed to the node, and not to its copy.
    for _ in 0..2 {
        days.pass(DAY, &[0, 1, 2]).await;
    }
    let ben = days.trio.nodes[1].sign_up().await;
    assert_eq!(days.trio.nodes[0].route(&ben, HANDLE).await, "imessage");
    days.trio.until_status(0, &admin, |output, _| output.status.success()).await;
    // It answers nothing that is not so any more.
    let gone = days.trio.nodes[0].phone(Method::DELETE, "/v1/devices/me").bearer_auth(&ann.token);
    assert_eq!(json_of(gone).await.0, StatusCode::NO_CONTENT);
    let (status, body) = second.lookup(&ben, HANDLE).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE || body["route"] == "sms", "{status} {body}");
}

#[tokio::test]
async fn a_copy_that_replaces_its_node_is_that_node() {
    let mut days = Days::start().await;
    assert!(days.trio.nodes[1].stop().await.success());
    let mut second = copied(&days);
    // At its address.
    let address = days.trio.nodes[1].operators.replace("http://", "");
    second.add_env(&[("SERVER__OPERATORS", &address)]);
    second.spawn().await;
    let ann = second.sign_up().await;
    second.prove(&ann, HANDLE).await;
    assert_eq!(days.trio.nodes[0].route(&ann, HANDLE).await, "imessage");
    let admin = days.trio.nodes[0].operator_token("adm", "admin");
    days.trio.until_status(0, &admin, |output, _| output.status.success()).await;
}
