//! Delivery of codes through a mail server and a text gateway, each of which works, fails or is unreachable.

mod adapter;
mod counted;
mod mail;
mod mail_server;
mod receiver;
mod text;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Device, PATIENCE, Server, holds_code},
    wire::{Reply, call},
};

const PHONE: &str = "+14085559731";
const EMAIL: &str = "zyxwv.planted@quuxmail.example";
const SECRET: &str = "correct-horse-battery-staple";

/// Starts a server with settings below `ownership.delivery`, and with messages at TRACE.
async fn start(settings: &[(&str, &str)]) -> Server {
    let named: Vec<_> = settings
        .iter()
        .map(|(name, value)| (format!("OWNERSHIP__DELIVERY__{name}"), *value))
        .collect();
    let mut env = vec![("TELEMETRY__LEVEL", "trace")];
    env.extend(named.iter().map(|(name, value)| (name.as_str(), *value)));
    Server::start_with(&env).await
}

/// Writes the secret to a file, for the `…_FILE` settings.
fn secret_file(folder: &Path) -> String {
    let path = folder.join("secret");
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn claim(server: &Server, device: &Device, handle: &str) -> Reply {
    let body = Some(json!({"handle": handle}));
    call(server, Method::POST, "/v1/devices/me/handles", Some(&device.token), body).await
}

/// Claims the handle and returns the verification. The code must be sent.
async fn sent(server: &Server, device: &Device, handle: &str) -> String {
    let reply = claim(server, device, handle).await;
    assert_eq!(reply.status, 202, "{reply:?}\n{}", server.output());
    reply.body["verification"].as_str().unwrap().to_owned()
}

/// Claims the handle, whose code cannot be delivered. Returns the seconds of `Retry-After`.
async fn undelivered(server: &Server, device: &Device, handle: &str) -> u64 {
    let reply = claim(server, device, handle).await;
    reply.refuses(502, "delivery-failed");
    reply.retry_after()
}

/// Claims a handle that the mail server or gateway refuses for good.
async fn refused(server: &Server, device: &Device, handle: &str) {
    claim(server, device, handle).await.refuses(422, "delivery-refused");
}

/// Claims handles, one a time, until a code is sent: what failed works again, and is found out after a pause.
async fn sent_in_time(server: &Server, device: &Device, handle: impl Fn(usize) -> String) {
    let started = Instant::now();
    for number in 0.. {
        let reply = claim(server, device, &handle(number)).await;
        if reply.status == 202 {
            return;
        }
        reply.refuses(502, "delivery-failed");
        assert!(started.elapsed() < PATIENCE, "{}", server.output());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Asserts that the server's messages name the begin and the end of one pause.
#[track_caller]
fn assert_paused_once(server: &Server) {
    let output = server.output();
    for text in ["the server fails: no code is sent for now", "the server works again"] {
        assert_eq!(output.matches(text).count(), 1, "{text} in {output}");
    }
}

/// The only six-digit word of a text.
fn code_in(text: &str) -> String {
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_code);
    words.next().unwrap_or_else(|| panic!("no code in {text:?}")).to_owned()
}

/// Asserts that the server's messages hold no personal data, but name the failure if there was one.
#[track_caller]
fn assert_no_personal_data_printed(server: &Server, codes: &[String]) {
    let output = server.output();
    assert!(output.contains("TRACE"), "{output}");
    let digits = &PHONE[1..];
    for planted in [digits, &digits[1..], "zyxwv", "quuxmail", SECRET, "sesame"] {
        assert!(!output.contains(planted), "{planted} in {output}");
    }
    for code in codes {
        assert!(!holds_code(&output, code), "a code in {output}");
    }
}
