//! `dispatchd ask`: a phone of one question.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Server, dispatchd, own_port, run};

fn ask(server: &str, words: &[&str], token: &str) -> Output {
    let mut command = dispatchd();
    command.arg("ask").args(words).args(["--server", server]);
    if !token.is_empty() {
        command.env("DISPATCHD_DEVICE_TOKEN", token);
    }
    run(&mut command)
}

#[track_caller]
fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[tokio::test]
async fn without_a_token_a_device_is_signed_up_for_one_question_and_signed_out() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    let reader = server.operator_token("reader", "reader");
    let changes = server.records(&reader, "kind=change").await.len();

    let said = printed(&ask(&server.phones, &["+1 415 555 0123"], ""));
    assert!(said.starts_with("+14155550123  blue (imessage), may be reused for "), "{said}");
    assert_eq!(said.lines().count(), 1);

    let lookups = server.records(&reader, "kind=lookup").await;
    assert_eq!(lookups.len(), 1);
    let made = server.records(&reader, "kind=change&order=asc").await;
    let made: Vec<_> = made[changes..].iter().map(|it| (&it["change"], &it["device"])).collect();
    let device = &lookups[0]["device"];
    let expected = [json!("device-registered"), json!("device-removed")];
    assert_eq!(made, [(&expected[0], device), (&expected[1], device)]);
}

#[tokio::test]
async fn a_device_of_ones_own_asks_as_itself_and_a_group_is_one_batch() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    let reader = server.operator_token("reader", "reader");
    let group = ["(415) 555-0123", "nobody@example.com", "+447700900123", "--region", "US"];
    let said = printed(&ask(&server.phones, &group, &ben.token));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("+14155550123        blue (imessage), "), "{said}");
    assert!(lines[1].starts_with("nobody@example.com  none (no live device, "), "{said}");
    assert!(lines[2].starts_with("+447700900123       green (sms), "), "{said}");
    assert_eq!(lines[3..], ["together: none: a member has no route"]);
    let records = server.records(&reader, "kind=lookup").await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|it| it["device"] == ben.device.as_str()));
    assert!(records.iter().all(|it| it["request"] == records[0]["request"]));

    // A token file, as an editor of another system writes it.
    let file = server.data.with_extension("token");
    std::fs::write(&file, format!("\u{feff}{} \r\n", ben.token)).unwrap();
    let words = ["+14155550123", "+447700900123", "--json", "--token-file", file.to_str().unwrap()];
    let said = printed(&ask(&server.phones, &words, "nonsense"));
    let lines: Vec<Value> = said.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!((&lines[0]["route"], &lines[1]["route"]), (&"imessage".into(), &"sms".into()));
    assert_eq!(lines[2], json!({"together": "mixed"}));
    let one = printed(&ask(&server.phones, &["+14155550123", "--json"], &ben.token));
    assert_eq!(one.lines().count(), 1);
}

#[tokio::test]
async fn what_is_refused_is_said_as_the_api_says_it() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let number = ["+14155550123"];
    fails(&ask(&server.operators, &number, ""), 1, &["is not the phones' listener", "port 8080"]);
    fails(&ask(&server.phones, &number, &reader), 1, &["token-invalid: ", "an operator's token"]);
    let closed = format!("http://127.0.0.1:{}", own_port());
    fails(&ask(&closed, &number, ""), 1, &["no answer from", "is the server running?"]);
    let no_scheme = server.phones.trim_start_matches("http://");
    fails(&ask(no_scheme, &number, ""), 2, &["did you mean http://127.0.0.1"]);
    let output = ask(&server.phones, &["4155550123", "+14155550123"], "");
    fails(&output, 2, &["one text is no handle"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("needs a region; give --region, such as US"), "{said}");
    assert!(said.contains("+14155550123  green (sms)"), "{said}");
    fails(&ask(&server.phones, &["1", "--config", "/no/such/file"], ""), 64, &["/no/such/file"]);
}

/// An empty variable is most often one that a script failed to set.
#[tokio::test]
async fn empty_variables_and_a_wrong_region_are_named() {
    let server = Server::start().await;
    let mut command = dispatchd();
    command.args(["ask", "415 555 0123", "--region", "UK", "--server", &server.phones]);
    let output = run(command.env("DISPATCHD_DEVICE_TOKEN", "").env("DISPATCHD_LOG__RETENTION", ""));
    let empty = ["DEVICE_TOKEN", "LOG__RETENTION"]
        .map(|name| format!("DISPATCHD_{name} is empty, which counts as unset"));
    fails(&output, 2, &[&empty[0], &empty[1], "one text is no handle"]);
    let refused = String::from_utf8(output.stdout).unwrap();
    assert!(refused.contains("--region: \"UK\" is not the two letters"), "{refused}");
    fails(
        &run(command.env("DISPATCHD_DEVICE_TOKEN", " ")),
        2,
        &["DISPATCHD_DEVICE_TOKEN is empty"],
    );
}
