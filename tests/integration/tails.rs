//! `dispatchd log tail` over a restart of its server: no record is missing or printed twice.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

use crate::harness::{Server, dispatchd, own_port, wait_until};

/// A tail that runs, with what it has printed so far.
pub(crate) struct Tail {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<String>>,
}

impl Tail {
    pub(crate) fn start(server: &Server, token: &str, words: &[&str]) -> Self {
        let mut command = dispatchd();
        command.args(["log", "tail", "--json", "--server", &server.operators]).args(words);
        command.env("DISPATCHD_TOKEN", token).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, said) = (Arc::default(), Arc::default());
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (to_lines, to_said) = (Arc::clone(&lines), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let to: &Mutex<Vec<String>> = &to_lines;
                to.lock().unwrap().push(line.unwrap());
            }
        });
        thread::spawn(move || {
            let (to, mut byte): (&Mutex<String>, _) = (&to_said, [0]);
            while err.read_exact(&mut byte).is_ok() {
                to.lock().unwrap().push(byte[0].into());
            }
        });
        Self { child, lines, said }
    }

    pub(crate) fn has_said(&self, part: &str, times: usize) {
        wait_until(part, || self.said.lock().unwrap().matches(part).count() >= times);
    }

    /// The records that it has printed.
    pub(crate) fn records(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for this many lines, and gives the handle of each.
    fn handles(&self, count: usize) -> Vec<String> {
        wait_until("the tail has printed enough", || self.lines.lock().unwrap().len() >= count);
        let handle = |record: &Value| record["handle"].as_str().unwrap().to_owned();
        self.records().iter().map(handle).collect()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn server_on_a_port() -> Server {
    let folder = tempfile::tempdir().unwrap().keep();
    let operators = format!("127.0.0.1:{}", own_port());
    Server::on(&folder.join("data"), &[("SERVER__OPERATORS", &operators)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_survives_a_restart_and_ends_when_its_token_is_revoked() {
    let mut server = server_on_a_port().await;
    let ben = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let mut expected = Vec::new();
    let handles = |from: u32| (from..from + 5).map(|n| format!("+1415555{n:04}"));
    let mut tail = Tail::start(&server, &reader, &["--route", "sms"]);
    tail.has_said("waiting for records; Ctrl-C ends", 1);
    // Even the first break, before any record, loses nothing.
    for round in 0..3 {
        if round > 0 {
            for handle in handles(round * 100) {
                server.lookup(&ben, &handle).await;
                server.lookup(&ben, "nobody@example.com").await;
                expected.push(handle);
            }
            assert_eq!(tail.handles(expected.len()), expected);
        }
        if round == 1 {
            server.kill()
        } else {
            assert!(server.stop().await.success())
        }
        tail.has_said("; connecting again", round as usize + 1);
        server.spawn().await;
        // The tail pauses before it connects: these are recorded in between.
        for handle in handles(round * 100 + 50) {
            server.lookup(&ben, &handle).await;
            expected.push(handle);
        }
        tail.has_said("connected again; records from in between: ", round as usize + 1);
    }
    server.lookup(&ben, "+14155559999").await;
    expected.push("+14155559999".to_owned());
    assert_eq!(tail.handles(expected.len()), expected);

    let mut revoke = dispatchd();
    revoke.args(["operator", "revoke", "reader", "--data"]).arg(&server.data);
    assert!(revoke.status().unwrap().success());
    server.restart().await;
    wait_until("the tail has ended", || tail.child.try_wait().unwrap().is_some());
    assert_eq!(tail.child.wait().unwrap().code(), Some(1));
    tail.has_said("token-invalid", 1);
    assert_eq!(tail.handles(expected.len()).len(), expected.len());
    std::fs::remove_dir_all(server.data.parent().unwrap()).unwrap();
}

/// The first connection is no matter of patience: a wrong address must not look like a quiet log.
#[tokio::test(flavor = "multi_thread")]
async fn a_tail_without_a_server_fails_at_once() {
    let mut server = server_on_a_port().await;
    let reader = server.operator_token("reader", "reader");
    let mut refused = Tail::start(&server, "nonsense", &[]);
    assert_eq!(refused.child.wait().unwrap().code(), Some(1));
    refused.has_said("token-invalid", 1);
    assert!(server.stop().await.success());
    let mut alone = Tail::start(&server, &reader, &[]);
    assert_eq!(alone.child.wait().unwrap().code(), Some(1));
    alone.has_said("is the server running?", 1);
    std::fs::remove_dir_all(server.data.parent().unwrap()).unwrap();
}
