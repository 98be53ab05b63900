//! What one node lists, verifies and follows is of all nodes, and a missing one is named. No URL between nodes holds anything personal.

use std::{collections::BTreeSet, process::Output};

use reqwest::Method;
use serde_json::Value;

use super::trio::{Trio, good, said};
use crate::{
    harness::{Device, run, wait_until},
    request_lines::record,
    tails::Tail,
};

const ALL: [&str; 3] = ["a", "b", "c"];
const HANDLE: &str = "+14155550123";

/// Three nodes, each with a lookup of its own, and the token of an admin.
struct Nodes {
    trio: Trio,
    token: String,
    ann: Device,
}

impl Nodes {
    async fn start() -> Self {
        let trio = Trio::start().await;
        let token = trio.nodes[0].operator_token("adm", "admin");
        let ann = trio.nodes[0].sign_up().await;
        for node in &trio.nodes {
            node.route(&ann, HANDLE).await;
        }
        Self { trio, token, ann }
    }

    /// A command for node b.
    fn command(&self, words: &[&str]) -> Output {
        let server = &self.trio.nodes[1];
        let mut command = server.command_for(words);
        run(command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &self.token))
    }

    /// A command for node b that prints JSON, and what it printed.
    fn rows(&self, words: &[&str]) -> (Output, Vec<Value>) {
        let output = self.command(&[words, &["--json"]].concat());
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (output, rows.collect())
    }

    async fn answer(&self, path: &str) -> Value {
        let asked = self.trio.nodes[1].operator(&self.token, path);
        asked.send().await.unwrap().json().await.unwrap()
    }

    /// The trailer or header that names missing nodes, of the list of segments.
    async fn missing_header(&self) -> Value {
        let asked = self.trio.nodes[1].operator(&self.token, "/v1/log/segments");
        let answer = asked.send().await.unwrap();
        serde_json::from_str(answer.headers()["dispatchd-missing"].to_str().unwrap()).unwrap()
    }
}

fn nodes(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["node"].as_str().unwrap()).collect()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.into_iter().collect()
}

/// A command that names node c, and fails.
fn names_c(output: &Output) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert!(said(output).contains("the node c"), "{}", said(output));
}

#[tokio::test]
async fn every_list_and_verdict_is_of_all_nodes_and_names_the_one_that_is_gone() {
    let mut all = Nodes::start().await;
    let (output, segments) = all.rows(&["log", "segments"]);
    good(&output);
    assert_eq!(set(nodes(&segments)), set(ALL));
    assert!(nodes(&segments).is_sorted(), "{segments:?}");
    let table = String::from_utf8(all.command(&["log", "segments"]).stdout).unwrap();
    assert!(table.lines().next().unwrap().ends_with("NODE"), "{table}");
    let (_, own) = all.rows(&["log", "segments", "--scope", "node"]);
    assert_eq!(set(nodes(&own)), set(["b"]));
    assert_eq!(all.missing_header().await, serde_json::json!([]));

    let (output, verified) = all.rows(&["log", "verify"]);
    good(&output);
    assert_eq!(set(nodes(&verified)), set(ALL));
    let verdict = all.command(&["audit", "verify"]);
    good(&verdict);
    let verdict = String::from_utf8(verdict.stdout).unwrap();
    assert!(ALL.iter().all(|node| verdict.contains(&format!("node {node}:\n"))), "{verdict}");

    let (output, calls) = all.rows(&["audit", "list"]);
    good(&output);
    assert_eq!(set(nodes(&calls)), set(ALL));
    let instants: Vec<_> = calls.iter().map(|call| call["at"].as_str().unwrap()).collect();
    assert!(instants.is_sorted(), "{instants:?}");
    // Each node notes that it was asked for this list, once, and by whom.
    let lists: Vec<_> = calls.iter().filter(|call| call["call"] == "audit-list").collect();
    let by: BTreeSet<_> = lists
        .iter()
        .map(|call| (call["node"].as_str().unwrap(), call["operator"].as_str().unwrap()))
        .collect();
    assert_eq!((lists.len(), by), (3, [("a", "adm@b"), ("b", "adm"), ("c", "adm@b")].into()));
    let (_, own) = all.rows(&["audit", "list", "--scope", "node"]);
    assert_eq!(set(nodes(&own)), set(["b"]));

    all.trio.nodes[2].kill();
    for (words, left) in [
        (["log", "segments"], &segments),
        (["log", "verify"], &verified),
        (["audit", "list"], &calls),
    ] {
        let (output, rows) = all.rows(&words);
        names_c(&output);
        assert_eq!(set(nodes(&rows)), set(["a", "b"]), "{words:?} of {}", left.len());
    }
    names_c(&all.command(&["audit", "verify"]));
    // Nothing is found, and that is not said.
    let nothing = all.command(&["audit", "list", "--operator", "nobody"]);
    names_c(&nothing);
    assert!(!said(&nothing).contains("no call matches"), "{}", said(&nothing));
    assert_eq!(all.missing_header().await[0]["node"], "c");
    let report = all.answer("/v1/log/verify").await;
    assert_eq!((&report["sound"], &report["node"]), (&false.into(), &"b".into()));
    let others: Vec<_> = report["others"].as_array().unwrap().iter().collect();
    assert!(others[0]["error"].is_null() && others[0]["report"]["sound"] == true, "{report}");
    assert!(others[1]["error"].is_string() && others[1]["report"].is_null(), "{report}");
    assert_eq!(all.answer("/v1/log/verify?scope=node").await["sound"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_follows_all_nodes_and_says_who_is_gone_and_who_is_back() {
    let mut all = Nodes::start().await;
    let tail = Tail::start(&all.trio.nodes[0], &all.token, &[]);
    tail.has_said("waiting for records; Ctrl-C ends", 1);
    all.trio.nodes[1].prove(&all.ann, "+14155550199").await;
    for (node, handle) in [(0, "+14155550000"), (1, "+14155550001"), (2, "+14155550002")] {
        all.trio.nodes[node].route(&all.ann, handle).await;
        until(&tail, ALL[node], handle);
    }
    // The log of each node has the change before that lookup, and the tail gives it once.
    let changes = tail.records().into_iter().filter(|it| it["change"] == "handle-bound");
    assert_eq!(changes.count(), 1, "{:?}", tail.records());

    all.trio.nodes[2].kill();
    tail.has_said("records of the node c are missing", 1);
    all.trio.nodes[1].route(&all.ann, "+14155550003").await;
    until(&tail, "b", "+14155550003");
    all.trio.nodes[2].spawn().await;
    tail.has_said("the node c is followed now", 1);
    all.trio.nodes[2].route(&all.ann, "+14155550004").await;
    until(&tail, "c", "+14155550004");

    // The asked node goes, and what the others recorded meanwhile is found.
    all.trio.nodes[0].kill();
    tail.has_said("; connecting again", 1);
    all.trio.nodes[1].route(&all.ann, "+14155550005").await;
    all.trio.nodes[0].spawn().await;
    until(&tail, "b", "+14155550005");
    let lookups = tail.records().into_iter().filter(|it| it["kind"] == "lookup");
    let lookups: Vec<_> = lookups.map(|it| it["handle"].as_str().unwrap().to_owned()).collect();
    let each: BTreeSet<_> = lookups.iter().collect();
    assert_eq!((each.len(), lookups.len()), (6, 6), "{lookups:?}");
}

/// Waits until the tail has a lookup of a handle, by a node.
fn until(tail: &Tail, node: &str, handle: &str) {
    wait_until(&format!("the tail has {handle} of {node}"), || {
        tail.records().iter().any(|it| it["handle"] == handle && it["node"] == node)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_line_between_nodes_holds_what_is_personal() {
    let mut all = Nodes::start().await;
    all.trio.nodes[2].kill();
    // It takes the place of node c.
    let (_, requests) = record(all.trio.nodes[2].operators.strip_prefix("http://").unwrap());
    let personal = [
        ("--handle", HANDLE.to_owned()),
        ("--account", all.ann.account.clone()),
        ("--device", all.ann.device.clone()),
        ("--ip", "203.0.113.7".to_owned()),
    ];
    let filters: Vec<_> = personal.iter().flat_map(|(name, value)| [*name, &**value]).collect();
    names_c(&all.command(&[&["log", "search"], &filters[..]].concat()));
    let export = ["log", "export", "--format", "ndjson", "--output", "-"];
    names_c(&all.command(&[&export, &filters[..]].concat()));
    names_c(&all.command(&["why", HANDLE]));
    names_c(&all.command(&["audit", "list", "--handle", HANDLE]));
    names_c(&all.command(&["log", "segments"]));
    names_c(&all.command(&["log", "verify"]));
    let tail = format!("{}/v1/log/tail", all.trio.nodes[1].operators);
    let tail = all.trio.nodes[1].client.request(Method::GET, tail).bearer_auth(&all.token);
    let query: Vec<_> = personal.iter().map(|(name, value)| (&name[2..], value)).collect();
    let tail = tail.query(&query).send().await.unwrap();
    assert_eq!(tail.status(), 200);

    let requests = requests.lock().unwrap().clone();
    for path in ["log/search", "log/export", "log/tail", "audit/search"] {
        let line = format!("POST /v1/{path} HTTP/1.1\r\n");
        let asked: Vec<_> = requests.iter().filter(|text| text.starts_with(&line)).collect();
        assert!(!asked.is_empty(), "{path} was not asked for");
        assert!(asked.iter().any(|text| text.contains(HANDLE)), "{path} was asked for otherwise");
    }
    for text in &requests {
        let line = text.lines().next().unwrap();
        for value in personal.iter().map(|(_, value)| value.trim_start_matches('+')) {
            assert!(!line.contains(value), "{line}");
        }
        assert!(!line.contains("handle"), "{line}");
    }
}
