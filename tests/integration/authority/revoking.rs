//! A long answer ends within a second after its operator was revoked or got another role.
//!
//! Its client takes some of it now and then, so that the deadline for clients that take nothing does not end it. The server's
//! messages say that the revocation did.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::revoke;
use crate::{
    audit::{begun, end_of_last},
    harness::{Device, PATIENCE, Server, dispatchd, run, say},
    wire::{Reply, batch},
};

/// Far beyond the second that is promised: the machine of the tests is busy. In this time a client takes less than a whole answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// What the server says when it ends an answer.
const ENDED: &str = "an answer ended: its operator lost the right to it";
/// Pause of a client between two pieces of an answer.
const TAKING_PAUSE: Duration = Duration::from_millis(100);
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

/// Revokes `name`, with a lower role afterwards if `is_lowered`, and returns how long it took until the call under way had ended
/// and was noted as broken off.
async fn call_ends(data: &Path, name: &'static str, is_lowered: bool) -> (Duration, Value) {
    let files = data.to_owned();
    let revoking = move || {
        revoke(&files, name);
        let revoked = Instant::now();
        if is_lowered {
            let add = ["operator", "add", name, "--role", "metrics", "--data"];
            assert!(run(dispatchd().args(add).arg(files)).status.success());
        }
        revoked
    };
    // Meanwhile the client goes on.
    let revoked = tokio::task::spawn_blocking(revoking).await.unwrap();
    let end = timeout(DEADLINE, end_of_last(data)).await.expect("the call ends");
    assert_eq!(end["whole"], false, "{end}");
    (revoked.elapsed(), end)
}

/// As [`call_ends`], of a call whose answer has begun: the revocation must have ended it.
async fn ends(server: &Server, name: &'static str, is_lowered: bool) -> (Duration, Value) {
    let said = || server.output().matches(ENDED).count();
    let before = said();
    let ended = call_ends(&server.data, name, is_lowered).await;
    assert_eq!(said(), before + 1, "something else ended the answer");
    ended
}

/// What `ended` gives. Until then the client takes a piece of the answer now and then.
async fn taking<T>(response: &mut Response, ended: impl Future<Output = T>) -> T {
    let taking = async {
        while let Ok(Some(_)) = response.chunk().await {
            tokio::time::sleep(TAKING_PAUSE).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = ended => ended,
        () = taking => unreachable!("it goes on for ever"),
    }
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
async fn long_answers_end_with_their_operator() {
    let (server, _) = with_records(BATCHES).await;
    for (name, path, is_lowered) in [
        ("ann", "/v1/log", false),
        ("bob", "/v1/log/export", false),
        ("eve", "/v1/log/export", true),
    ] {
        let token = server.operator_token(name, "reader");
        let mut response = begin(&server, &token, path).await;
        assert!(response.chunk().await.unwrap().is_some());
        assert_eq!(begun(&server.data).last().unwrap()["operator"], name);
        let (took, end) = taking(&mut response, ends(&server, name, is_lowered)).await;
        say(&format!("{path} of {name} ended {took:?} after the revocation"));
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
            ended = ends(&server, name, is_lowered) => ended,
            () = asking => unreachable!("it goes on for ever"),
        };
        say(&format!("a tail, busy: {is_busy}, ended {took:?} after the revocation"));
        breaks_off(tail).await;
    }
}

#[tokio::test]
async fn a_snapshot_ends_with_its_operator() {
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
    let (took, end) = taking(&mut response, ends(&server, "ann", false)).await;
    say(&format!("a snapshot ended {took:?} after the revocation"));
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
    let mut printed = export.stdout.take().unwrap();
    std::io::Read::read_exact(&mut printed, &mut [0]).unwrap();
    // The reader of its output is slow, and so is the command.
    let reading = std::thread::spawn(move || {
        let mut piece = vec![0; 1 << 16];
        while std::io::Read::read(&mut printed, &mut piece).unwrap() > 0 {
            std::thread::sleep(TAKING_PAUSE);
        }
    });
    let (took, _) = ends(&server, "ann", false).await;
    say(&format!("an export of a command ended {took:?} after the revocation"));
    let output =
        tokio::task::spawn_blocking(move || export.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the server ended the answer: the token was revoked"), "{said}");
    reading.join().unwrap();
}

#[tokio::test]
async fn an_import_that_is_being_received_ends_with_its_operator() {
    let server = Server::start().await;
    let [token, other] = ["ann", "bob"].map(|name| server.operator_token(name, "admin"));
    let url = format!("{}/v1/registry/import", server.operators);
    // It has no end, and always goes on.
    let endless = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(TAKING_PAUSE).await;
        Some((Ok::<_, std::convert::Infallible>("half a file"), ()))
    });
    let import = |token: &str| server.client.request(Method::POST, &url).bearer_auth(token);
    let body = reqwest::Body::wrap_stream(endless);
    let sending = Reply::to(import(&token).body(body).timeout(PATIENCE));
    let revoking = async {
        while begun(&server.data).is_empty() {
            tokio::time::sleep(TAKING_PAUSE).await;
        }
        revoke(&server.data, "ann");
        Instant::now()
    };
    let both = async { tokio::join!(sending, revoking) };
    let (refused, revoked) = timeout(PATIENCE, both).await.expect("the import ends");
    say(&format!("an import ended {:?} after the revocation", revoked.elapsed()));
    refused.refuses(401, "token-invalid");
    assert_eq!(end_of_last(&server.data).await["refused"], "token-invalid");
    // Its place is free.
    Reply::to(import(&other).body("no staged file")).await.refuses(422, "import-invalid");
}
