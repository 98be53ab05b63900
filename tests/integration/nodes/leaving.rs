//! Nodes are away, come back, and are removed.

use reqwest::StatusCode;

use super::trio::{Trio, good, said};
use crate::harness::{PATIENCE, run};

const HANDLE: &str = "+14155550123";

#[tokio::test]
async fn a_node_that_was_killed_is_named_and_catches_up() {
    let mut trio = Trio::start().await;
    let admin = trio.nodes[0].operator_token("adm", "admin");
    trio.until_status(0, &admin, |output, _| output.status.success()).await;
    trio.nodes[2].kill();
    trio.until_status(0, &admin, |output, report| {
        output.status.code() == Some(1)
            && said(output).contains("not every member is reachable and ready: c")
            && report["members"][2]["reachable"] == false
    })
    .await;
    // The others go on.
    let ann = trio.nodes[0].sign_up().await;
    trio.nodes[1].prove(&ann, HANDLE).await;
    trio.nodes[2].spawn().await;
    assert_eq!(trio.nodes[2].route(&ann, HANDLE).await, "imessage");
    trio.until_status(2, &admin, |output, _| output.status.success()).await;
}

#[tokio::test]
async fn a_node_whose_next_entry_is_gone_takes_the_state_of_another_one() {
    let mut trio = Trio::start().await;
    let ann = trio.nodes[0].sign_up().await;
    assert!(trio.nodes[2].stop().await.success());
    trio.nodes[1].prove(&ann, HANDLE).await;
    let ben = trio.nodes[1].sign_up().await;
    // They have applied all of it then.
    for node in [0, 1] {
        assert_eq!(trio.nodes[node].route(&ben, HANDLE).await, "imessage");
    }
    trio.trim().await;
    trio.nodes[2].spawn().await;
    assert_eq!(trio.nodes[2].route(&ben, HANDLE).await, "imessage");
    assert!(trio.nodes[2].output().contains("the state of another member was taken over"));
    let cleo = trio.nodes[2].sign_up().await;
    assert_eq!(trio.nodes[0].route(&cleo, HANDLE).await, "imessage");
}

#[tokio::test]
async fn a_node_that_is_left_behind_while_it_runs_ends_and_its_next_start_catches_up() {
    let mut trio = Trio::start().await;
    let ann = trio.nodes[0].sign_up().await;
    trio.nodes[2].signal("STOP");
    trio.nodes[1].prove(&ann, HANDLE).await;
    assert_eq!(trio.nodes[0].route(&ann, HANDLE).await, "imessage");
    trio.trim().await;
    trio.nodes[2].signal("CONT");
    // A service manager starts it again after such an end.
    assert_eq!(trio.nodes[2].wait().await.code(), Some(1), "{}", trio.nodes[2].output());
    trio.nodes[2].spawn().await;
    assert_eq!(trio.nodes[2].route(&ann, HANDLE).await, "imessage");
}

#[tokio::test]
async fn a_node_that_is_removed_changes_nothing_more() {
    let mut trio = Trio::start().await;
    let admin = trio.nodes[0].operator_token("adm", "admin");
    trio.until_status(0, &admin, |output, _| output.status.success()).await;
    good(&run(&mut trio.nodes[0].command_for(&["cluster", "remove", "c"])));
    let again = run(&mut trio.nodes[0].command_for(&["cluster", "remove", "c"]));
    assert!(said(&again).contains("the cluster has no node of this name"), "{}", said(&again));
    trio.until_status(0, &admin, |output, report| {
        output.status.success() && report["members"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    let begun = std::time::Instant::now();
    loop {
        let (status, body) = trio.readiness(2).await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(body.contains("no member of the cluster any more"), "{body}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{body}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let sign_up = trio.nodes[2].phone(reqwest::Method::POST, "/v1/devices");
    let sign_up = sign_up.json(&serde_json::json!({"platform": "ios"})).send().await.unwrap();
    assert_eq!(sign_up.status(), StatusCode::SERVICE_UNAVAILABLE);

    // The machine may come back as a new node.
    let data = trio.nodes[2].data.clone();
    trio.nodes[2].kill();
    std::fs::remove_dir_all(&data).unwrap();
    let token = trio.invite("c");
    good(&trio.join(2, &token));
    trio.nodes[2].spawn().await;
    trio.until_status(0, &admin, |output, report| {
        output.status.success() && report["members"].as_array().is_some_and(|all| all.len() == 3)
    })
    .await;
}
