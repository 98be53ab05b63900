//! Requests, lookups and limits, against what the test's own clients counted.

use std::{sync::Arc, thread, time::Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Scrape, Tally, lookup, request};
use crate::{
    connection::Wire,
    harness::{PATIENCE, Server},
    wire::{Reply, with_json},
};

/// Clients that ask at the same time.
const CLIENTS: usize = 6;
/// Rounds of each.
const ROUNDS: usize = 40;

/// Sends requests to the phones' listener and counts their answers.
struct Counting<'a> {
    server: &'a Server,
    requests: Tally,
    limits: Tally,
}

impl<'a> Counting<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, requests: Tally::default(), limits: Tally::default() }
    }

    async fn send(&mut self, call: &str, request: RequestBuilder) -> Reply {
        let reply = Reply::to(request).await;
        self.count(call, reply.status, &reply.body);
        reply
    }

    fn count(&mut self, call: &str, status: u16, body: &Value) {
        let problem = body["code"].as_str().filter(|_| status >= 400);
        self.requests.add(request(call, status, problem), 1);
        if let Some(limit) = body["limit"].as_str() {
            self.limits.add(format!(r#"limit="{limit}""#), 1);
        }
    }

    async fn ask(
        &mut self,
        call: &str,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> Reply {
        let request = self.server.phone(method, path).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.send(call, request).await
    }

    /// A new device, its token.
    async fn sign_up(&mut self) -> String {
        let path = "/v1/devices";
        let reply = self.ask("signUp", Method::POST, path, "", json!({"platform": "ios"})).await;
        reply.body["token"].as_str().unwrap().to_owned()
    }

    async fn prove(&mut self, token: &str, handle: &str) {
        let (path, body) = ("/v1/devices/me/handles", json!({"handle": handle}));
        let claim = self.ask("claimHandle", Method::POST, path, token, body).await;
        let id = claim.body["verification"].as_str().unwrap();
        let (path, code) = (format!("/v1/verifications/{id}"), self.server.code_for(id));
        let body = json!({"code": code});
        let reply = self.ask("confirmVerification", Method::POST, &path, "", body).await;
        assert_eq!(reply.status, 200);
    }

    async fn get(&mut self, token: &str, handle: &str) -> Reply {
        let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
        self.ask("lookup", Method::GET, &path, token, Value::Null).await
    }
}

/// A handle for each reason, and the labels of its lookup by a stranger.
const HANDLES: [(&str, &str, &str); 7] = [
    ("+14155550101", "imessage", "live-device"),
    ("live@example.com", "imessage", "live-device"),
    ("+14155550102", "sms", "unbound"),
    // A hidden handle counts as an unknown one.
    ("+14155550103", "sms", "never-registered"),
    ("hidden@example.com", "none", "never-registered"),
    ("+14155550104", "sms", "device-removed"),
    ("nobody@example.com", "none", "never-registered"),
];

/// Holds [`HANDLES`] as their reasons say.
async fn hold(counting: &mut Counting<'_>) {
    let (ann, gone) = (counting.sign_up().await, counting.sign_up().await);
    for handle in ["+14155550101", "live@example.com", "+14155550102", "+14155550103"] {
        counting.prove(&ann, handle).await;
    }
    counting.prove(&ann, "hidden@example.com").await;
    counting.prove(&gone, "+14155550104").await;
    let path = |handle: &str| format!("/v1/devices/me/handles/{handle}");
    let unbound = path("%2B14155550102");
    counting.ask("releaseHandle", Method::DELETE, &unbound, &ann, Value::Null).await;
    for hidden in ["%2B14155550103", "hidden@example.com"] {
        let body = json!({"discoverable": false});
        counting.ask("updateHandle", Method::PATCH, &path(hidden), &ann, body).await;
    }
    counting.ask("signOut", Method::DELETE, "/v1/devices/me", &gone, Value::Null).await;
}

/// One client: every handle alone and all in a batch, with one that is none; then a token that nobody has.
fn client(url: &str, token: &str) -> (Tally, Tally) {
    let (mut requests, mut lookups) = (Tally::default(), Tally::default());
    let mut wire = Wire::connect(url).unwrap();
    let mut batch: Vec<_> = HANDLES.iter().map(|(handle, ..)| *handle).collect();
    batch.push("nonsense");
    for _ in 0..ROUNDS {
        for (handle, route, reason) in HANDLES {
            let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
            let reply = wire.ask("GET", &path, token, &Value::Null).unwrap();
            assert_eq!((reply.status, reply.text("route").as_str()), (200, route), "{handle}");
            requests.add(request("lookup", 200, None), 1);
            lookups.add(lookup(route, reason), 1);
        }
        let reply = wire.ask("POST", "/v1/lookup", token, &json!({"handles": batch})).unwrap();
        assert_eq!(reply.status, 200);
        requests.add(request("lookUpBatch", 200, None), 1);
        HANDLES.iter().for_each(|(_, route, reason)| lookups.add(lookup(route, reason), 1));
        lookups.add(lookup("refused", "handle-invalid"), 1);
        for (path, code, status) in
            [("/v1/lookup/nonsense", "handle-invalid", 400), ("/v1/lookup/", "handle-invalid", 400)]
        {
            assert_eq!(wire.ask("GET", path, token, &Value::Null).unwrap().status, status);
            requests.add(request("lookup", status, Some(code)), 1);
            lookups.add(lookup("refused", code), 1);
        }
        let path = "/v1/lookup/%2B14155550101";
        assert_eq!(wire.ask("GET", path, "dd_none", &Value::Null).unwrap().status, 401);
        requests.add(request("lookup", 401, Some("token-invalid")), 1);
        lookups.add(lookup("refused", "token-invalid"), 1);
    }
    (requests, lookups)
}

#[tokio::test]
async fn lookups_are_counted_as_they_are_recorded_though_their_clients_leave() {
    const LEAVING: usize = 200;
    let server = Server::start_with(&[("LOG__DURABILITY", "disk")]).await;
    let reader = server.operator_token("reader", "reader");
    let token = Counting::new(&server).sign_up().await;
    let head = format!("host: a\r\nauthorization: Bearer {token}\r\n");
    for _ in 0..LEAVING {
        let mut wire = Wire::connect(&server.phones).unwrap();
        let request = format!("GET /v1/lookup/nobody@example.com HTTP/1.1\r\n{head}\r\n");
        wire.send(request.as_bytes()).unwrap();
    }
    let began = Instant::now();
    loop {
        let log = server.operator(&reader, "/v1/log?kind=lookup");
        let log = Reply::to(log.header("accept", "application/x-ndjson")).await;
        let recorded = log.text.lines().count();
        let counted = Scrape::of(&server).await.sum("lookups_total", "");
        // A request may be lost with its connection before the server reads it.
        if recorded > LEAVING / 2 && recorded as f64 == counted {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{recorded} recorded, {counted} counted");
    }
}

async fn clients_and_metrics_agree(durability: &str) {
    let server = Server::start_with(&[("LOG__DURABILITY", durability)]).await;
    let mut counting = Counting::new(&server);
    hold(&mut counting).await;
    let token = Arc::new(counting.sign_up().await);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (url, token) = (server.phones.clone(), Arc::clone(&token));
            thread::spawn(move || client(&url, &token))
        })
        .collect();
    let mut lookups = Tally::default();
    for client in clients {
        let (requests, asked) = client.join().unwrap();
        counting.requests.merge(requests);
        lookups.merge(asked);
    }
    let scrape = Scrape::of(&server).await;
    counting.requests.is(&scrape.of_phones(), "http_requests_total");
    lookups.is(&scrape, "lookups_total");
    for call in ["lookup", "lookUpBatch"] {
        let count = scrape.value(&format!("lookup_duration_seconds_count{{call=\"{call}\"}}"));
        let part = format!(r#"call="{call}","#);
        assert_eq!(count, scrape.sum("http_requests_total", &part), "{call}");
    }
    assert!(scrape.value("log_commit_duration_seconds_count") > 0.0);
    let synced = scrape.value("log_sync_duration_seconds_count");
    assert_eq!(synced > 0.0, durability == "disk", "{synced}");
}

#[tokio::test]
async fn clients_and_metrics_agree_when_commits_are_synced() {
    clients_and_metrics_agree("disk").await;
}

#[tokio::test]
async fn clients_and_metrics_agree_when_serving_threads_commit() {
    clients_and_metrics_agree("os").await;
}

/// The reasons and routes that answers can have are there from the start: a rate needs the zero before the first one.
#[tokio::test]
async fn every_answer_has_a_series_before_it_is_met() {
    let server = Server::start().await;
    let scrape = Scrape::of(&server).await;
    for (route, reasons) in [
        ("imessage", &["live-device"][..]),
        ("sms", &["never-registered", "lease-expired", "moved", "deregistered", "unbound"]),
        ("none", &["never-registered", "lease-expired", "moved", "unbound", "device-removed"]),
    ] {
        for reason in reasons {
            assert_eq!(scrape.value(&format!("lookups_total{{{}}}", lookup(route, reason))), 0.0);
        }
    }
    assert_eq!(scrape.value("lookup_duration_seconds_count{call=\"lookup\"}"), 0.0);
    assert_eq!(scrape.value("refusals_total{limit=\"new-handles\"}"), 0.0);
    assert_eq!(scrape.value("refusals_total{limit=\"sessions\"}"), 0.0);
    let hidden = scrape.0.keys().find(|sample| sample.contains("undiscoverable"));
    assert_eq!(hidden, None, "a label tells who is hidden");
}

/// Refusals of every kind, each under its call and its problem.
#[tokio::test]
async fn refusals_are_counted_by_call_and_problem() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NEW_HANDLES_PER_DAY", "1000")];
    let server = Server::start_with(&env).await;
    let mut counting = Counting::new(&server);
    let token = counting.sign_up().await;
    let many: Vec<_> = (0..1_000).map(|n| format!("+1415556{n:04}")).collect();
    let too_many: Vec<_> = many.iter().chain(["x"; 1].map(str::to_owned).iter()).cloned().collect();
    let mut lookups = Tally::default();

    let path = "/v1/lookup";
    let reply =
        counting.ask("lookUpBatch", Method::POST, path, &token, json!({"handles": many})).await;
    assert_eq!(reply.status, 200);
    lookups.add(lookup("sms", "never-registered"), 1_000);
    // Every new handle is beyond the limit now.
    for handles in [json!(["+14155550001", "+14155550002"]), json!(["+14155550003"])] {
        let count = handles.as_array().unwrap().len();
        let body = json!({"handles": handles});
        let reply = counting.ask("lookUpBatch", Method::POST, path, &token, body).await;
        reply.refuses(429, "lookup-quota");
        lookups.add(lookup("refused", "lookup-quota"), count);
    }
    counting.get(&token, "+14155550004").await.refuses(429, "lookup-quota");
    lookups.add(lookup("refused", "lookup-quota"), 1);
    let body = json!({"handles": too_many});
    let reply = counting.ask("lookUpBatch", Method::POST, path, &token, body).await;
    reply.refuses(422, "too-many-handles");
    lookups.add(lookup("refused", "too-many-handles"), 1);
    let huge = with_json(server.phone(Method::POST, path).bearer_auth(&token), "x".repeat(1 << 21));
    counting.send("lookUpBatch", huge).await.refuses(413, "body-too-large");
    lookups.add(lookup("refused", "body-too-large"), 1);
    let plain = server.phone(Method::POST, path).bearer_auth(&token).body("{}");
    counting.send("lookUpBatch", plain).await.refuses(415, "content-type-unsupported");
    lookups.add(lookup("refused", "content-type-unsupported"), 1);

    // Paths that hold a handle or an id are no labels.
    for (call, method, path, status) in [
        ("other", Method::GET, "/v1/none/%2B14155550001", 404),
        ("other", Method::PUT, "/v1/lookup/%2B14155550001", 405),
        ("other", Method::GET, "/", 404),
        ("releaseHandle", Method::DELETE, "/v1/devices/me/handles/%2B14155550001", 404),
        ("confirmVerification", Method::POST, "/v1/verifications/v_0000000000000", 404),
        ("livez", Method::GET, "/livez", 200),
        ("readyz", Method::GET, "/readyz", 200),
        ("getOpenApi", Method::GET, "/openapi.json", 200),
    ] {
        let body = if method == Method::POST { json!({"code": "000000"}) } else { Value::Null };
        let reply = counting.ask(call, method, path, &token, body).await;
        assert_eq!(reply.status, status, "{path}");
    }
    counting.ask("getDevice", Method::GET, "/v1/devices/me", "dd_none", Value::Null).await;

    let (path, body) = ("/v1/devices/me/handles", json!({"handle": "+14155550001"}));
    let reply = counting.ask("claimHandle", Method::POST, path, &token, body.clone()).await;
    assert_eq!(reply.status, 202);
    // The pause between two codes is a limit, too.
    for status in [202, 429] {
        let path = "/v1/deregistrations";
        let reply =
            counting.ask("deregisterHandle", Method::POST, path, &token, body.clone()).await;
        assert_eq!(reply.status, status);
    }
    let scrape = Scrape::of(&server).await;
    counting.requests.is(&scrape.of_phones(), "http_requests_total");
    counting.limits.is(&scrape, "refusals_total");
    lookups.is(&scrape, "lookups_total");
    assert!(scrape.value("refusals_total{limit=\"new-handles\"}") == 3.0);
    assert_eq!(scrape.value("verification_sessions{purpose=\"bind\"}"), 1.0);
}

/// Requests to the operators' listener, and how long its reading calls take.
#[tokio::test]
async fn the_operators_calls_are_counted_and_their_reading_is_timed() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let ann = server.sign_up().await;
    server.lookup(&ann, "+14155550123").await;
    for _ in 0..3 {
        assert_eq!(server.records(&reader, "kind=lookup").await.len(), 1);
    }
    let paths = ["/v1/log?limit=0", "/v1/audit", "/v1/log/segments", "/v1/handles/x/timeline"];
    for path in paths {
        Reply::to(server.operator(&reader, path)).await;
    }
    Reply::to(server.operator("do_none", "/v1/log")).await.refuses(401, "token-invalid");
    let scrape = Scrape::of(&server).await;
    let count = |call: &str, status: u16, problem: &str| {
        let labels =
            format!(r#"listener="operators",call="{call}",status="{status}",problem="{problem}""#);
        scrape.value(&format!("http_requests_total{{{labels}}}"))
    };
    assert_eq!(count("searchLog", 200, "none"), 3.0);
    assert_eq!(count("searchLog", 400, "request-invalid"), 1.0);
    assert_eq!(count("searchLog", 401, "token-invalid"), 1.0);
    assert_eq!(count("listAuditEntries", 403, "role-insufficient"), 1.0);
    assert_eq!(count("getTimeline", 400, "handle-invalid"), 1.0);
    let timed =
        |call: &str| scrape.value(&format!("read_duration_seconds_count{{call=\"{call}\"}}"));
    assert_eq!((timed("searchLog"), timed("listSegments"), timed("listFlips")), (5.0, 1.0, 0.0));
    // A scrape counts itself at the next one.
    assert_eq!(scrape.sum("http_requests_total", "getMetrics"), 0.0);
    let next = Scrape::of(&server).await;
    assert_eq!(next.sum("http_requests_total", "getMetrics"), 1.0);
}
