//! A stranger gets the same answer for a hidden handle, a held handle, a formerly held handle and an unregistered
//! one, byte for byte.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

use crate::{
    connection::request,
    handles::{discoverable, give_up},
    harness::{Device, PATIENCE, Server},
    openapi::described,
    wire::call,
};

/// Headers that differ in every answer. All other headers must be equal.
const OWN_HEADERS: [&str; 2] = ["x-request-id:", "date:"];
const OWN_FIELDS: [&str; 3] = ["verification", "expires_at", "next_send_at"];

/// Every byte of the answer, which must be one that the API description declares.
fn raw(server: &Server, request: &str) -> String {
    let (method, path) = {
        let mut words = request.split(['?', ' ']);
        (words.next().unwrap().parse().unwrap(), words.next().unwrap())
    };
    let mut stream = TcpStream::connect(server.phones.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
    let status = head[9..12].parse().unwrap();
    described::check(&method, path, status, &headers, body.as_bytes());
    answer
}

/// The answer without the headers that always differ, and with the last digits or letters of the handle masked.
fn masked(answer: &str, own: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let is_own = |line: &str| OWN_HEADERS.iter().any(|own| line.starts_with(own));
    // Remaining quotas refill with time, so mask their counters.
    let mask = |line: &str| match line.split_once(';') {
        Some(("ratelimit: \"new-handles\"", _)) => "ratelimit".to_owned(),
        _ => line.to_owned(),
    };
    let head: Vec<_> = head.split("\r\n").filter(|line| !is_own(line)).map(mask).collect();
    let fields: Value = serde_json::from_str(body).unwrap();
    let mut body = body.to_owned();
    for field in OWN_FIELDS {
        if let Some(text) = fields[field].as_str() {
            body = body.replace(text, &"·".repeat(text.len()));
        }
    }
    format!("{}\r\n\r\n{body}", head.join("\r\n")).replace(own, &"·".repeat(own.len()))
}

/// Two handles as their common part, the part that makes it Ann's handle, and the part that makes it unregistered.
type Alike = (&'static str, &'static str, &'static str);

const NUMBER: Alike = ("+1415555", "0123", "0124");
const ADDRESS: Alike = ("@example.com", "ann", "eva");
/// The lookups use another spelling of this number, too.
const MOBILE: Alike = ("+549112345", "6789", "6780");

fn handle((rest, one, _): Alike, part: &str) -> String {
    assert_eq!(part.len(), one.len());
    if rest.starts_with('@') { format!("{part}{rest}") } else { format!("{rest}{part}") }
}

/// Looks the handles up in every way. Each lookup comes from a device that has made none before.
async fn looks_never_registered(server: &Server, alike: Alike) {
    let (_, held, never) = alike;
    let ask = async |part: &str| {
        let asker = server.sign_up().await.token;
        let handle = handle(alike, part);
        let encoded = handle.replace('+', "%2B");
        let get = |path: String| request("GET", &path, &asker, &Value::Null);
        let post = |handles: Value| request("POST", "/v1/lookup", &asker, &handles);
        let asked = [
            get(format!("/v1/lookup/{handle}")),
            get(format!("/v1/lookup/{encoded}")),
            get(format!("/v1/lookup/{encoded}?region=US")),
            post(json!({"handles": [handle]})),
            post(json!({"handles": ["nonsense", handle, "+14155550199", handle]})),
        ];
        asked.map(|request| masked(&raw(server, &request), part))
    };
    for (held, never) in ask(held).await.into_iter().zip(ask(never).await) {
        assert_eq!(held, never);
    }
}

fn percent_encoded(handle: &str) -> String {
    handle.replace('+', "%2B")
}

#[tokio::test]
async fn the_hidden_look_unregistered_to_strangers() {
    let server = Server::start_with(&[("QUOTA__ENABLED", "true")]).await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    for alike in [NUMBER, ADDRESS, MOBILE] {
        let own = handle(alike, alike.1);
        server.prove(&ann, &own).await;
        discoverable(&server, &ann, &percent_encoded(&own), false).await;
        looks_never_registered(&server, alike).await;
        assert_eq!(server.route(&ann, &own).await, "imessage");
        discoverable(&server, &ann, &percent_encoded(&own), true).await;
        assert_eq!(server.route(&ben, &own).await, "imessage");
    }
}

#[tokio::test]
async fn what_was_held_once_looks_unregistered() {
    let server = Server::start_with(&[("QUOTA__ENABLED", "true")]).await;
    for alike in [NUMBER, ADDRESS, MOBILE] {
        let ann = server.sign_up().await;
        let own = handle(alike, alike.1);
        server.prove(&ann, &own).await;
        give_up(&server, &ann, &percent_encoded(&own)).await.is(204, &[]);
        looks_never_registered(&server, alike).await;
        server.prove(&ann, &own).await;
        let path = "/v1/devices/me";
        call(&server, Method::DELETE, path, Some(&ann.token), None).await.is(204, &[]);
        looks_never_registered(&server, alike).await;
    }
}

/// Requests a code in every way: without a token, and as a device that claims the handle.
async fn asks_alike(server: &Server, alike: Alike, claimant: &Device) {
    for (path, token) in [("/v1/deregistrations", ""), ("/v1/devices/me/handles", &claimant.token)]
    {
        let [held, never] = [alike.1, alike.2].map(|part| {
            let body = json!({"handle": handle(alike, part)});
            let answer = raw(server, &request("POST", path, token, &body));
            assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
            masked(&answer, part)
        });
        assert_eq!(held, never);
    }
}

#[tokio::test]
async fn asking_for_a_code_says_the_same_whether_or_not_anybody_holds_the_handle() {
    for quota in ["true", "false"] {
        let server = Server::start_with(&[("QUOTA__ENABLED", quota)]).await;
        let ann = server.sign_up().await;
        for alike in [NUMBER, ADDRESS, MOBILE] {
            let own = handle(alike, alike.1);
            server.prove(&ann, &own).await;
            if alike == MOBILE {
                discoverable(&server, &ann, &percent_encoded(&own), false).await;
            }
            asks_alike(&server, alike, &server.sign_up().await).await;
            let last = server.outbox().pop().unwrap();
            assert_eq!(last["purpose"], "bind");
        }
    }
}
