//! What the console stands on: its files and their headers, and calls whose filter is a body instead of an address.

use std::collections::BTreeSet;

use bytes::Bytes;
use dispatchd::console::{FILES, PAGE};
use reqwest::{Method, RequestBuilder, header::HeaderMap, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    audit::{begun, end_of_last},
    harness::{Device, Server, avoid_end_of_hour, client},
    wire::{Reply, batch},
};

const PHONE: &str = "+14155550123";
const OTHER: &str = "ann@example.com";
const LINES: &str = "application/x-ndjson";

fn get(server: &Server, path: &str) -> RequestBuilder {
    server.client.get(format!("{}{path}", server.operators))
}

/// Fetches a file of the console, of which the description has the page only: status, headers, bytes.
async fn fetch(request: RequestBuilder) -> (u16, HeaderMap, Bytes) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap())
}

fn posted(server: &Server, token: &str, path: &str, body: &Value) -> RequestBuilder {
    server.client.post(format!("{}{path}", server.operators)).bearer_auth(token).json(body)
}

#[tokio::test]
async fn every_file_comes_with_its_policy_and_is_kept_until_it_changes() {
    let server = Server::start().await;
    for (name, bytes) in FILES {
        let path = match *name {
            PAGE => "/console/".to_owned(),
            name => format!("/console/{name}"),
        };
        let (status, headers, body) = fetch(get(&server, &path)).await;
        assert_eq!((status, body.as_ref()), (200, *bytes), "{path}");
        let header = |name: &str| headers[name].to_str().unwrap();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|is| is == part), "{path}: {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-cache");
        let again = get(&server, &path).header("if-none-match", header("etag"));
        let (status, _, body) = fetch(again).await;
        assert_eq!((status, body.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn only_a_browser_is_sent_to_the_console() {
    let server = Server::start().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let still = client().redirect(Policy::none()).build().unwrap();
    for (path, accept) in [("/", browser), ("/console", browser), ("/console", "*/*")] {
        let request = still.get(format!("{}{path}", server.operators)).header("accept", accept);
        let (status, headers, _) = fetch(request).await;
        assert_eq!((status, headers["location"].to_str().unwrap()), (303, "/console/"), "{path}");
    }
    Reply::to(get(&server, "/").header("accept", "*/*")).await.refuses(404, "not-found");
    Reply::to(get(&server, "/")).await.refuses(404, "not-found");
    let post = server.client.post(format!("{}/", server.operators)).header("accept", browser);
    Reply::to(post).await.refuses(404, "not-found");
    for path in ["/console/app/nothing.js", "/console/mod.rs", "/console/../Cargo.toml"] {
        Reply::to(get(&server, path)).await.refuses(404, "not-found");
    }
}

#[tokio::test]
async fn the_console_is_on_the_operators_listener_and_for_its_hosts_only() {
    let server = Server::start().await;
    for path in ["/", "/console", "/console/", "/console/app/main.js"] {
        let phones = server.phone(Method::GET, path).header("accept", "text/html");
        Reply::to(phones).await.refuses(404, "not-found");
        let (status, _, body) = fetch(get(&server, path).header("host", "evil.example.org")).await;
        let code = serde_json::from_slice::<Value>(&body).unwrap()["code"].clone();
        assert_eq!((status, code.as_str()), (421, Some("host-unknown")), "{path}");
    }
}

/// A log with lookups of two handles and changes of one.
async fn with_records() -> (Server, Device) {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, PHONE).await;
    batch(&server, &ben, &[PHONE, OTHER]).await;
    (server, ben)
}

/// The calls that take a filter as a body: the path, the same `GET` without its query, the body, and the query.
fn calls() -> Vec<(&'static str, &'static str, Value, String)> {
    let timeline = "/v1/handles/%2B14155550123/timeline";
    let search = |body: Value, query: &str| ("/v1/log/search", "/v1/log", body, query.to_owned());
    vec![
        search(json!({}), ""),
        search(json!({"handle": PHONE}), "handle=%2B14155550123"),
        search(
            json!({"handle": "415 555 0123", "region": "US", "kind": "lookup", "order": "asc"}),
            "handle=415%20555%200123&region=US&kind=lookup&order=asc",
        ),
        search(
            json!({"limit": 1, "route": "imessage", "since": "2026-01-01"}),
            "limit=1&route=imessage&since=2026-01-01",
        ),
        ("/v1/timeline", timeline, json!({"handle": PHONE}), String::new()),
        (
            "/v1/timeline",
            timeline,
            json!({"handle": "(415) 555-0123", "region": "US", "detail": "all", "limit": 2, "case": "INC-1"}),
            "region=US&detail=all&limit=2&case=INC-1".to_owned(),
        ),
    ]
}

/// An answer without what differs between two equal calls: the moment that it speaks of.
fn without_moment(text: &str) -> String {
    let summary = text.split_once("\"other_spellings\"").map(|(_, rest)| rest);
    let moment = summary.and_then(|rest| rest.split("\"at\":\"").nth(1)?.split('"').next());
    moment.map_or_else(|| text.to_owned(), |moment| text.replace(moment, "…"))
}

/// How the last call is noted: who asked for what, and how many records it got. A handle is a fingerprint under the hour's key.
async fn last_entry(server: &Server) -> (Value, Value) {
    let records = end_of_last(&server.data).await["records"].clone();
    let begun = begun(&server.data).pop().unwrap();
    assert!(begun["call"].is_string() && begun["filters"].is_object(), "{begun}");
    (begun, records)
}

#[tokio::test]
async fn a_filter_in_the_body_is_answered_and_noted_as_one_in_the_address() {
    avoid_end_of_hour();
    let (server, _) = with_records().await;
    let reader = server.operator_token("ann", "reader");
    for (path, of_get, body, query) in calls() {
        for accept in ["application/json", LINES] {
            let by_address = server.operator(&reader, &format!("{of_get}?{query}"));
            let by_address = Reply::to(by_address.header("accept", accept)).await;
            let (noted, ended) = last_entry(&server).await;
            let before = begun(&server.data).len();
            let request = posted(&server, &reader, path, &body).header("accept", accept);
            let by_body = Reply::to(request).await;
            assert_eq!((by_address.status, by_body.status), (200, 200), "{by_body:?}");
            assert_eq!(without_moment(&by_body.text), without_moment(&by_address.text), "{body}");
            assert!(by_body.text.len() > 60, "{by_body:?}");
            assert_eq!(by_body.header("content-type"), by_address.header("content-type"));
            assert_eq!(last_entry(&server).await, (noted, ended), "{body}");
            assert_eq!(begun(&server.data).len(), before + 1, "one entry for one call");
        }
    }
}

#[tokio::test]
async fn a_filter_in_the_body_is_refused_in_the_words_of_one_in_the_address() {
    let (server, _) = with_records().await;
    let reader = server.operator_token("ann", "reader");
    for (body, query) in [
        (json!({"route": "green"}), "route=green"),
        (json!({"kind": "+14155550123"}), "kind=%2B14155550123"),
        (json!({"handle": "nonsense"}), "handle=nonsense"),
        (json!({"since": "soon"}), "since=soon"),
        (json!({"since": "5m", "until": "10m"}), "since=5m&until=10m"),
        (json!({"limit": 0}), "limit=0"),
        (json!({"case": " "}), "case=%20"),
    ] {
        let by_address = Reply::to(server.operator(&reader, &format!("/v1/log?{query}"))).await;
        let by_body = Reply::to(posted(&server, &reader, "/v1/log/search", &body)).await;
        by_address.refuses(400, "request-invalid");
        let moments = |text: &str| text.split('(').next().unwrap_or_default().to_owned();
        let (said, says) = (&by_body.body["detail"], &by_address.body["detail"]);
        by_body.refuses(400, "request-invalid");
        assert_eq!(moments(said.as_str().unwrap()), moments(says.as_str().unwrap()), "{query}");
        assert!(!by_body.text.contains("4155550123"), "{by_body:?}");
    }
    let invalid =
        Reply::to(posted(&server, &reader, "/v1/timeline", &json!({"handle": "1"}))).await;
    assert_eq!(invalid.refuses(400, "handle-invalid")["reason"], "needs-region");
}

#[tokio::test]
async fn a_body_that_is_no_filter_is_refused_by_name() {
    let (server, _) = with_records().await;
    let reader = server.operator_token("ann", "reader");
    for (path, body, says) in [
        ("/v1/timeline", json!({}), "`handle` is missing; it takes a text"),
        ("/v1/timeline", json!({"handle": 14155550123_u64}), "`handle` takes a text, not a number"),
        (
            "/v1/timeline",
            json!({"handle": PHONE, "limit": "many"}),
            "`limit` takes a whole number, not a text",
        ),
        (
            "/v1/log/search",
            json!({"handel": PHONE}),
            "the field `handel` is unknown; this call takes ",
        ),
        ("/v1/log/search", json!({PHONE: 1}), "a field is unknown; this call takes "),
        ("/v1/log/search", json!({"route": 7}), "`route` takes a text, not a number"),
        ("/v1/log/search", json!({"handle": null}), "`handle` takes a text, not null"),
        ("/v1/log/search", json!([PHONE]), "the body takes a JSON object with "),
        ("/v1/log/tail", json!({"limit": 1}), "the field `limit` is unknown; this call takes "),
    ] {
        let reply = Reply::to(posted(&server, &reader, path, &body)).await;
        let said = reply.refuses(400, "request-invalid")["detail"].as_str().unwrap();
        assert!(said.starts_with(says), "{path}: {said}");
        assert!(!reply.text.contains("4155550123"), "{reply:?}");
    }
    let raw = |text: &'static str| {
        let request = server.client.post(format!("{}/v1/log/search", server.operators));
        request.bearer_auth(&reader).header("content-type", "application/json").body(text)
    };
    let twice = Reply::to(raw(r#"{"route":"sms","route":"sms"}"#)).await;
    let said = twice.refuses(400, "request-invalid")["detail"].as_str().unwrap();
    assert_eq!(said, "the field `route` appears twice");
    let entries = begun(&server.data).len();
    // The token and the address are looked at before the body.
    let stranger = posted(&server, "do_unknown", "/v1/log/search", &json!({"x": 1}));
    Reply::to(stranger).await.refuses(401, "token-invalid");
    let query = posted(&server, &reader, "/v1/log/search?handle=x", &json!({}));
    Reply::to(query).await.refuses(400, "request-invalid");
    let form = server.client.post(format!("{}/v1/log/search", server.operators));
    let form = form.bearer_auth(&reader).body("handle=x");
    Reply::to(form).await.refuses(415, "content-type-unsupported");
    let metrics = server.operator_token("prometheus", "metrics");
    let scraper = posted(&server, &metrics, "/v1/timeline", &json!({"handle": PHONE}));
    Reply::to(scraper).await.refuses(403, "role-insufficient");
    assert_eq!(begun(&server.data).len(), entries, "a refused call read something");
}

#[tokio::test]
async fn a_reader_names_a_case_in_the_body_where_the_server_asks_for_one() {
    let server = Server::start_with(&[("OPERATORS__REQUIRE_CASE", "true")]).await;
    let reader = server.operator_token("ann", "reader");
    for (path, body) in [
        ("/v1/log/search", json!({})),
        ("/v1/log/tail", json!({})),
        ("/v1/timeline", json!({"handle": PHONE})),
    ] {
        Reply::to(posted(&server, &reader, path, &body)).await.refuses(400, "case-required");
    }
    let named = posted(&server, &reader, "/v1/log/search", &json!({"case": "INC-7"}));
    assert_eq!(Reply::to(named).await.status, 200);
    assert_eq!(begun(&server.data).pop().unwrap()["case"], "INC-7");
}

#[tokio::test]
async fn a_tail_with_its_filter_in_the_body_gives_what_matches() {
    let (server, ben) = with_records().await;
    let reader = server.operator_token("ann", "reader");
    let request = posted(&server, &reader, "/v1/log/tail", &json!({"handle": PHONE}));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("dispatchd-tail-from"));
    batch(&server, &ben, &[OTHER, PHONE]).await;
    let mut text = String::new();
    while !text.contains("\n\n") || !text.contains("data:") {
        text += std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap();
    }
    let records: BTreeSet<_> = text.lines().filter(|line| line.starts_with("data:")).collect();
    assert!(records.iter().all(|line| line.contains(PHONE)), "{text}");
    assert_eq!(begun(&server.data).pop().unwrap()["call"], "tail");
}
