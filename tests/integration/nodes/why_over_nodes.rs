//! `why` at any node of three whose clocks differ: one history, in which each lookup stands between the changes that it saw.

use std::cell::Cell;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use reqwest::StatusCode;
use serde_json::Value;

use super::{clocks::trio_off_by, trio::said};
use crate::{
    handles::{discoverable, give_up},
    harness::{Device, Server, run, send},
};

const HANDLE: &str = "+14155550123";
const ENCODED: &str = "%2B14155550123";
const NAMES: [&str; 3] = ["a", "b", "c"];

/// One change of the handle, at a node.
#[derive(Clone, Copy, Debug)]
enum Step {
    Hide(usize),
    Show(usize),
    GiveUp(usize),
    Prove(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = 0..NAMES.len();
    prop_oneof![
        3 => node.clone().prop_map(Step::Hide),
        3 => node.clone().prop_map(Step::Show),
        1 => node.clone().prop_map(Step::GiveUp),
        1 => node.prop_map(Step::Prove),
    ]
}

async fn carry_out(nodes: &[Server], owner: &Device, step: Step) {
    match step {
        // Of a handle that nobody holds it is refused.
        Step::Hide(node) => drop(discoverable(&nodes[node], owner, ENCODED, false).await),
        Step::Show(node) => drop(discoverable(&nodes[node], owner, ENCODED, true).await),
        Step::GiveUp(node) => drop(give_up(&nodes[node], owner, ENCODED).await),
        Step::Prove(node) => nodes[node].prove(owner, HANDLE).await,
    }
}

/// The lines of the history that a node tells, without the summary.
async fn told(node: &Server, token: &str) -> Vec<String> {
    let path = format!("/v1/handles/{ENCODED}/timeline?detail=all");
    let request = node.operator(token, &path).header("accept", "application/x-ndjson");
    let (status, _, text) = send(request.header("te", "trailers")).await;
    assert_eq!(status, StatusCode::OK);
    let mut lines: Vec<_> =
        std::str::from_utf8(&text).unwrap().lines().map(str::to_owned).collect();
    let summary: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    assert_eq!((&summary["kind"], &summary["missing"]), (&"summary".into(), &Value::Null));
    lines
}

/// How many lookups were answered otherwise than the changes before them say.
fn wrong(entries: &[Value]) -> usize {
    let (mut is_bound, mut is_hidden, mut wrong) = (false, false, 0);
    for entry in entries {
        match entry["change"].as_str() {
            Some("handle-bound") => (is_bound, is_hidden) = (true, false),
            Some("handle-unbound") => is_bound = false,
            Some("handle-hidden") => is_hidden = true,
            Some("handle-shown") => is_hidden = false,
            Some(other) => panic!("{other}"),
            None => {
                let route = if is_bound && !is_hidden { "imessage" } else { "sms" };
                wrong += usize::from(entry["route"] != route);
            }
        }
    }
    wrong
}

#[tokio::test]
async fn each_lookup_stands_between_the_changes_that_it_saw() {
    let mut trio = trio_off_by([0.0, 0.2, -0.2]).await;
    let token = trio.nodes[0].operator_token("ann", "reader");
    let nodes = &trio.nodes;
    let owner = nodes[0].sign_up().await;
    let asker = nodes[1].sign_up().await;
    nodes[2].prove(&owner, HANDLE).await;

    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(any_step(), 60).new_tree(&mut runner).unwrap().current();
    let is_over = Cell::new(false);
    let changes = async {
        for step in steps {
            carry_out(nodes, &owner, step).await;
        }
        is_over.set(true);
    };
    let asks = |node: usize| {
        let (asker, is_over) = (&asker, &is_over);
        async move {
            let mut asked = 0;
            while !is_over.get() {
                nodes[node].route(asker, HANDLE).await;
                asked += 1;
            }
            asked
        }
    };
    let ((), a, b, c) = tokio::join!(changes, asks(0), asks(1), asks(2));

    let lines = told(&nodes[0], &token).await;
    for node in [1, 2] {
        assert_eq!(told(&nodes[node], &token).await, lines, "{}", NAMES[node]);
    }
    let mut entries: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lookups = entries.iter().filter(|entry| entry["kind"] == "lookups").count();
    assert_eq!(lookups, a + b + c);
    assert_eq!(wrong(&entries), 0);
    // The clocks alone would tell another story.
    entries.sort_by_key(|entry| entry["at"].as_str().unwrap().to_owned());
    assert!(wrong(&entries) > 0);

    trio.nodes[2].kill();
    let operators = trio.nodes[0].operators.clone();
    let words = ["why", HANDLE, "--server", &operators];
    let output = run(trio.nodes[0].command_for(&words).env("DISPATCHD_TOKEN", &token));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("as far as the nodes that answered show"), "{text}");
    assert!(said(&output).contains("the node c"), "{}", said(&output));
}
