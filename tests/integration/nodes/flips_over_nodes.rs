//! Flips of a handle whose lookups are spread over three nodes, each of which knows one route of it.

use std::process::Output;

use serde_json::{Value, json};

use super::trio::{Trio, said};
use crate::{
    handles::give_up,
    harness::{Server, run},
    wire::Reply,
};

const HANDLE: &str = "+14155550123";
const ENCODED: &str = "%2B14155550123";
const TIMES: usize = 3;

async fn flips(node: &Server, token: &str, query: &str) -> Value {
    let reply = Reply::to(node.operator(token, &format!("/v1/log/flips?{query}"))).await;
    reply.is(200, &["flips", "summary"]).clone()
}

fn command(node: &Server, token: &str, words: &[&str]) -> Output {
    let words = [&["log", "flips", "--server", &node.operators], words].concat();
    run(node.command_for(&words).env("DISPATCHD_TOKEN", token))
}

#[tokio::test]
async fn a_handle_whose_lookups_alternate_over_nodes_flips_and_a_node_that_is_gone_is_named() {
    let mut trio = Trio::start().await;
    let (reader, admin) = (
        trio.nodes[0].operator_token("ann", "reader"),
        trio.nodes[0].operator_token("adm", "admin"),
    );
    let nodes = &trio.nodes;
    let owner = nodes[0].sign_up().await;
    let asker = nodes[1].sign_up().await;
    for _ in 0..TIMES {
        nodes[2].prove(&owner, HANDLE).await;
        assert_eq!(nodes[0].route(&asker, HANDLE).await, "imessage");
        give_up(&nodes[2], &owner, ENCODED).await.is(204, &[]);
        assert_eq!(nodes[1].route(&asker, HANDLE).await, "sms");
    }

    let whole = flips(&nodes[0], &reader, "since=1h&case=INC-7").await;
    let flip = &whole["flips"][0];
    assert_eq!((&flip["handle"], &flip["changes"]), (&HANDLE.into(), &(2 * TIMES - 1).into()));
    assert_eq!(flip["routes"], json!({"imessage": TIMES, "sms": TIMES}));
    // Each node has recorded each of these.
    let registry = json!([
        {"change": "handle-bound", "cause": "proof", "count": TIMES},
        {"change": "handle-unbound", "cause": "owner-request", "count": TIMES},
    ]);
    assert_eq!((&flip["registry"], &flip["likely"]), (&registry, &"unbinds".into()));
    assert!(whole["summary"]["missing"].is_null() && whole["summary"]["cut"].is_null(), "{whole}");
    for (node, by) in [(0, "ann"), (1, "ann@a"), (2, "ann@a")] {
        assert_eq!(flips(&nodes[node], &reader, "until=2100-01-01").await["flips"], whole["flips"]);
        let alone = flips(&nodes[node], &reader, "scope=node").await;
        assert_eq!(alone["summary"]["handles"], 0, "no node has both routes: {alone}");
        let noted =
            Reply::to(nodes[node].operator(&admin, "/v1/audit?operator=ann&scope=node")).await;
        let noted: Vec<Value> =
            noted.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_case: Vec<_> = noted.iter().filter(|it| it["case"] == "INC-7").collect();
        let [call] = of_case.as_slice() else { panic!("{noted:?}") };
        assert_eq!((&call["operator"], &call["call"]), (&by.into(), &"flips".into()));
    }
    let printed = command(&nodes[1], &reader, &["--json"]);
    assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));

    trio.nodes[1].kill();
    let nodes = &trio.nodes;
    let rest = flips(&nodes[0], &reader, "since=1h").await;
    assert_eq!(
        (&rest["summary"]["handles"], &rest["summary"]["missing"][0]["node"]),
        (&0.into(), &"b".into())
    );
    let printed = command(&nodes[2], &reader, &[]);
    assert_eq!(printed.status.code(), Some(1), "{}", said(&printed));
    let told = said(&printed);
    assert!(told.contains("the node b") && !told.contains("no handle"), "{told}");
    let printed = command(&nodes[2], &reader, &["--json"]);
    assert_eq!(printed.status.code(), Some(1), "{}", said(&printed));
    let summary: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(summary["missing"][0]["node"], "b", "{summary}");
    let alone = command(&nodes[2], &reader, &["--scope", "node"]);
    assert_eq!(alone.status.code(), Some(0), "{}", said(&alone));
}
