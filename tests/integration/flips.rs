//! Handles whose route changed back and forth: phones cause the changes, and operators find them.

use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Server, dispatchd, run},
    wire::{Reply, has_exactly},
};

const NUMBER: &str = "+14155550123";
const ADDRESS: &str = "ann@example.com";

/// Creates a number whose owner signs up and out twice, and an address that its owner hides and shows. Also looks up an
/// unregistered number.
async fn some_flips(server: &Server) {
    let ben = server.sign_up().await;
    let mut ann = server.sign_up().await;
    for _ in 0..2 {
        server.prove(&ann, NUMBER).await;
        assert_eq!(server.route(&ben, NUMBER).await, "imessage");
        let gone = server.phone(Method::DELETE, "/v1/devices/me").bearer_auth(&ann.token);
        assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(server.route(&ben, NUMBER).await, "sms");
        assert_eq!(server.route(&ben, "+14155550177").await, "sms");
        ann = server.sign_up().await;
    }
    server.prove(&ann, ADDRESS).await;
    let path = format!("/v1/devices/me/handles/{ADDRESS}");
    for (discoverable, strangers) in [(true, "imessage"), (false, "none"), (true, "imessage")] {
        let change = server.phone(Method::PATCH, &path).bearer_auth(&ann.token);
        let change = change.json(&json!({"discoverable": discoverable})).send().await.unwrap();
        assert!(change.status().is_success(), "{change:?}");
        assert_eq!(server.route(&ben, ADDRESS).await, strangers);
        assert_eq!(server.route(&ann, ADDRESS).await, "imessage");
    }
}

fn command(words: &[&str]) -> std::process::Command {
    let mut command = dispatchd();
    command.args(["log", "flips"]).args(words);
    command
}

fn ask(server: &Server, token: &str, words: &[&str]) -> Output {
    run(command(words).args(["--server", &server.operators]).env("DISPATCHD_TOKEN", token))
}

#[track_caller]
fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_number_that_signs_out_and_in_is_found_with_its_cause() {
    let mut server = Server::start().await;
    some_flips(&server).await;
    let token = server.operator_token("reader", "reader");
    let reply = Reply::to(server.operator(&token, "/v1/log/flips?since=1h")).await;
    let body = reply.is(200, &["flips", "summary"]).clone();
    let flips = body["flips"].as_array().unwrap();
    assert_eq!(flips.len(), 1, "{body}");
    let flip = &flips[0];
    has_exactly(
        flip,
        &[
            "handle", "changes", "first_at", "last_at", "lookups", "routes", "reasons", "registry",
            "latest", "likely", "because",
        ],
    );
    assert_eq!((&flip["handle"], &flip["changes"]), (&NUMBER.into(), &3.into()));
    assert_eq!((&flip["lookups"], &flip["likely"]), (&4.into(), &"signs-out".into()));
    assert_eq!(flip["routes"], json!({"imessage": 2, "sms": 2}));
    assert_eq!(flip["reasons"], json!({"device-removed": 2, "live-device": 1}));
    let registry = json!([
        {"change": "handle-bound", "cause": "proof", "count": 2},
        {"change": "handle-unbound", "cause": "sign-out", "count": 2},
    ]);
    assert_eq!(flip["registry"], registry);
    // The times are those of the records.
    let records = server.records(&token, "kind=lookup&order=asc&handle=%2B14155550123").await;
    let ats: Vec<_> = records[1..].iter().map(|record| &record["at"]).collect();
    let latest = flip["latest"].as_array().unwrap();
    assert_eq!(latest.iter().map(|change| &change["at"]).collect::<Vec<_>>(), ats);
    assert_eq!((&flip["first_at"], &flip["last_at"]), (ats[0], ats[2]));
    let routes: Vec<_> = latest.iter().map(|change| change["to"].as_str().unwrap()).collect();
    assert_eq!(routes, ["sms", "imessage", "sms"]);
    let summary = &body["summary"];
    let counts = ["handles", "changes", "damaged", "unreadable_segments"];
    assert_eq!(counts.map(|field| summary[field].as_u64().unwrap()), [1, 3, 0, 0]);
    assert_eq!(summary["likely"][0]["likely"], "signs-out");

    // The command gives the same output from the server, beside it, and from its files.
    let json = printed(&ask(&server, &token, &["--json", "--since", "1h"])).0;
    assert_eq!(objects(&json)[0], *flip);
    let last = objects(&json).pop().unwrap();
    assert_eq!((&last["handles"], &last["likely"]), (&1.into(), &summary["likely"]));
    let (table, told) = printed(&ask(&server, &token, &[]));
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[1], row.last().copied()), (NUMBER, "3", Some("signs-out")));
    assert!(table.starts_with("HANDLE "), "{table}");
    let (table, _) = printed(&ask(&server, &token, &["--wide"]));
    assert!(table.contains("device-removed 2, live-device 1"), "{table}");
    assert!(told.contains("3 changes") && told.contains("signs-out, 1 of them: "), "{told}");
    assert!(server.stop().await.success());
    let read = run(command(&["--json"]).arg("--data").arg(&server.data));
    assert_eq!(objects(&printed(&read).0)[0], *flip);
    let none = run(command(&["--min", "4"]).arg("--data").arg(&server.data));
    let (table, told) = printed(&none);
    assert!(table.is_empty() && told.contains("no handle's route changed 4 times"), "{told}");
}

#[tokio::test]
async fn wrong_parameters_are_named_and_not_quoted() {
    let server = Server::start().await;
    let token = server.operator_token("reader", "reader");
    for (query, named) in [
        ("min=1", "min: \"1\" is not"),
        ("min=3777700", "none"),
        ("min=often-3777", "`min` takes"),
        ("limit=0", "limit: \"0\" is not"),
        ("limit=1001", "`limit` takes"),
        ("since=often-3777", "`since` takes"),
        ("until=often-3777", "`until` takes"),
        (
            "handle=often-3777",
            "the parameter `handle` is unknown; this call takes since, until, min, limit",
        ),
        ("min=2&min=2", "appears twice"),
    ] {
        let reply = Reply::to(server.operator(&token, &format!("/v1/log/flips?{query}"))).await;
        if named == "none" {
            reply.is(200, &["flips", "summary"]);
            continue;
        }
        let detail = reply.refuses(400, "request-invalid")["detail"].as_str().unwrap();
        assert!(detail.contains(named) && !reply.text.contains("3777"), "{query}: {detail}");
    }
    for words in [["--min", "1"], ["--limit", "1001"], ["--since", "lately"]] {
        let output = ask(&server, &token, &words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}
