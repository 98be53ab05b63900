//! A long answer ends within a second after its operator was revoked or got another role, though its client reads nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

use super::revoke;
use crate::{
    audit::{begun, end_of_last},
    harness::{Device, PATIENCE, Server, dispatchd, run},
    wire::batch,
};

/// Far beyond the second that is promised: the machine of the tests is busy.
const DEADLINE: Duration = Duration::from_secs(20);
const BATCH: usize = 1_000;
/// More than the buffers of a connection hold: about 40 MB of records.
const BATCHES: usize = 200;
/// More than the buffers of a connection hold, in the registry's store.
const ACCOUNTS: usize = 100_000;

fn numbers() -> Vec<String> {
    (0..BATCH).map(|n| format!("+1415555{n:04}")).collect()
}

async fn with_records(batches: usize) -> (Server, Device) {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let numbers = numbers();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    for _ in 0..batches {
        batch(&server, &ben, &numbers).await;
    }
    (server, ben)
}

async fn begin(server: &Server, token: &str, path: &str) -> Response {
    let request = server.operator(token, path).header("accept", "application/x-ndjson");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

/// Revokes `name`, with a lower role afterwards if `is_lowered`, and returns how long it took until the answer under way had ended
/// and was noted as broken off.
async fn ends(data: &Path, name: &str, is_lowered: bool) -> (Duration, Value) {
    revoke(data, name);
    let revoked = Instant::now();
    if is_lowered {
        let add = ["operator", "add", name, "--role", "metrics", "--data"];
        assert!(run(dispatchd().args(add).arg(data)).status.success());
    }
    let end = timeout(DEADLINE, end_of_last(data)).await.expect("the answer ends");
    assert_eq!(end["whole"], false, "{end}");
    (revoked.elapsed(), end)
}

/// Reads the answer to its end, which must be an error: a client must not take a part for the whole.
async fn breaks_off(mut response: Response) {
    let read = async {
        while response.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    let read = timeout(PATIENCE, read).await.expect("the answer ends");
    assert!(read.is_err(), "the client takes the answer for complete");
}

#[tokio::test]
async fn long_answers_that_nobody_reads_end_with_their_operator() {
    let (server, _) = with_records(BATCHES).await;
    for (name, path, is_lowered) in [
        ("ann", "/v1/log", false),
        ("bob", "/v1/log/export", false),
        ("eve", "/v1/log/export", true),
    ] {
        let token = server.operator_token(name, "reader");
        // It takes the first bytes and then no more, so the server waits for it.
        let mut response = begin(&server, &token, path).await;
        assert!(response.chunk().await.unwrap().is_some());
        assert_eq!(begun(&server.data).last().unwrap()["operator"], name);
        let (took, end) = ends(&server.data, name, is_lowered).await;
        eprintln!("{path} of {name} ended {took:?} after the revocation");
        assert!(end["records"].as_u64().unwrap() < (BATCH * BATCHES) as u64, "{end}");
        breaks_off(response).await;
        let refused = server.operator(&token, path).send().await.unwrap();
        assert_eq!(refused.status(), 401);
    }
}

#[tokio::test]
async fn a_tail_ends_with_its_operator_whether_records_come_or_not() {
    let (server, ben) = with_records(1).await;
    for (name, is_busy, is_lowered) in
        [("ann", false, false), ("bob", true, false), ("eve", true, true)]
    {
        let token = server.operator_token(name, "admin");
        let tail = begin(&server, &token, "/v1/log/tail").await;
        let asking = async {
            if is_busy {
                loop {
                    server.lookup(&ben, "+14155550123").await;
                }
            }
            std::future::pending::<()>().await;
        };
        let (took, _) = tokio::select! {
            ended = ends(&server.data, name, is_lowered) => ended,
            () = asking => unreachable!("it goes on for ever"),
        };
        eprintln!("a tail, busy: {is_busy}, ended {took:?} after the revocation");
        breaks_off(tail).await;
    }
}

#[tokio::test]
async fn a_snapshot_that_nobody_reads_ends_with_its_operator() {
    let server = Server::start().await;
    let admin = server.operator_token("root", "admin");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    let rows = (0..ACCOUNTS)
        .map(|n| format!("p{n}@example.com,account {n},device {n},ios,2026-11-01T00:00:00Z\n"));
    let text = rows.collect::<String>();
    std::fs::write(&file, format!("handle,account,device,platform,last_check_in_at\n{text}"))
        .unwrap();
    let mut import = dispatchd();
    import.args(["registry", "import", "--server", &server.operators]).arg(&file);
    let output = run(import.env("DISPATCHD_TOKEN", &admin));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let token = server.operator_token("ann", "admin");
    let mut response = begin(&server, &token, "/v1/registry/snapshot").await;
    assert!(response.chunk().await.unwrap().is_some());
    let (took, end) = ends(&server.data, "ann", false).await;
    eprintln!("a snapshot ended {took:?} after the revocation");
    assert_eq!(end["records"], ACCOUNTS as u64, "{end}");
    breaks_off(response).await;
}

#[tokio::test]
async fn a_command_says_that_its_token_was_revoked() {
    let (server, _) = with_records(BATCHES).await;
    let token = server.operator_token("ann", "reader");
    let mut export = dispatchd();
    export.args(["log", "export", "--format", "ndjson", "--output", "-"]);
    export.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &token);
    export.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut export = export.spawn().unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(export.stdout.as_mut().unwrap(), &mut first).unwrap();
    // Its output is a pipe that is full, so it reads no more of the answer.
    ends(&server.data, "ann", false).await;
    let output =
        tokio::task::spawn_blocking(move || export.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the server ended the answer: the token was revoked"), "{said}");
}
