//! Three nodes of one cluster, each with the real binary, and three real etcd members.

use std::{io::Write as _, process::Output};

use dispatchd::shared_log::{SharedLog as _, etcd::Fence};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    harness::{PATIENCE, Server, own_port, run},
    shared_log::cluster::Cluster,
};

/// The prefix of the keys in etcd.
pub(super) const PREFIX: &str = "dispatchd/";
const NAMES: [&str; 3] = ["a", "b", "c"];

/// The nodes a, b and c. Only those that joined run.
pub(crate) struct Trio {
    pub(super) etcd: Cluster,
    pub(crate) nodes: Vec<Server>,
    folder: TempDir,
}

impl Trio {
    /// Node a has begun the cluster and runs.
    pub(super) async fn begin() -> Self {
        Self::begin_with(&[]).await
    }

    /// The same, with more of the configuration for all nodes.
    pub(crate) async fn begin_with(more: &[(&str, &str)]) -> Self {
        let mut trio = Self::stopped(more).await;
        trio.found().await;
        trio
    }

    /// All nodes run.
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more of the configuration for all nodes.
    pub(super) async fn start_with(more: &[(&str, &str)]) -> Self {
        let mut trio = Self::begin_with(more).await;
        trio.join_all().await;
        trio
    }

    /// No node has joined, and none runs.
    pub(super) async fn stopped(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etcd = Cluster::start(3, &[]).await;
        let engine = json!(etcd.urls()).to_string();
        let node = |name: &&str| {
            let [phones, operators] =
                [own_port(), own_port()].map(|port| format!("127.0.0.1:{port}"));
            let env = [
                ("CLUSTER__ENGINE", engine.as_str()),
                ("CLUSTER__NODE", name),
                ("SERVER__PHONES", &phones),
                ("SERVER__OPERATORS", &operators),
            ];
            let env = [&env, more].concat();
            let mut node = Server::stopped(&folder.path().join(name), &env);
            // Also before it says that it is ready.
            node.phones = format!("http://{phones}");
            node.operators = format!("http://{operators}");
            node
        };
        let nodes = NAMES.iter().map(node).collect();
        Self { etcd, nodes, folder }
    }

    /// Node a begins the cluster.
    pub(super) async fn found(&mut self) {
        good(&run(&mut self.nodes[0].command_for(&["cluster", "init"])));
        self.nodes[0].spawn().await;
    }

    /// The others join.
    pub(super) async fn join_all(&mut self) {
        for node in [1, 2] {
            let token = self.invite(NAMES[node]);
            good(&self.join(node, &token));
            self.nodes[node].spawn().await;
        }
    }

    /// The token of an invite by node a.
    pub(super) fn invite(&self, name: &str) -> String {
        let invited = run(&mut self.nodes[0].command_for(&["cluster", "invite", name]));
        good(&invited);
        String::from_utf8(invited.stdout).unwrap().trim().to_owned()
    }

    /// Has a node join at node a.
    pub(super) fn join(&self, node: usize, token: &str) -> Output {
        let path = self.folder.path().join("invite.token");
        std::fs::File::create(&path).unwrap().write_all(token.as_bytes()).unwrap();
        let words = ["cluster", "join", &self.nodes[0].operators, "--token-file"];
        run(self.nodes[node].command_for(&words).arg(path))
    }

    /// What a node says of all nodes.
    pub(super) fn status(&self, node: usize, token: &str) -> (Output, Value) {
        let server = &self.nodes[node];
        let words = ["cluster", "status", "--json", "--server", &server.operators];
        let output = run(server.command_for(&words).env("DISPATCHD_TOKEN", token));
        let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output, report)
    }

    /// Asks a node for the status until `is_so`.
    pub(super) async fn until_status(
        &self,
        node: usize,
        token: &str,
        is_so: impl Fn(&Output, &Value) -> bool,
    ) {
        let begun = Instant::now();
        loop {
            let (output, report) = self.status(node, token);
            if is_so(&output, &report) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{output:?}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Removes every entry but the last one from the engine.
    pub(super) async fn trim(&self) {
        let log = self.etcd.log_of(0, PREFIX, Fence::Write);
        let head = log.head().await.unwrap();
        log.trim(head.place).await.unwrap();
    }

    /// Whether a node is ready, and what it lacks.
    pub(super) async fn readiness(&self, node: usize) -> (StatusCode, String) {
        let asked = self.nodes[node].phone(Method::GET, "/readyz").send().await.unwrap();
        (asked.status(), asked.text().await.unwrap())
    }
}

/// A command that must have succeeded.
pub(super) fn good(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// What a command wrote to its standard error.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
