//! Every field of a record: of an answered query, of a refused query, and of a change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::Server,
    log_api::LOOKUP,
    wire::{Reply, batch, call, has_exactly, instant, with_json},
};

#[tokio::test]
async fn a_record_holds_exactly_what_is_promised() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    let asked = ["+14155550123", "nobody@example.com", "nonsense"];
    let reply = batch(&server, &ben, &asked).await;
    let path = "/v1/devices/me";
    call(&server, Method::DELETE, path, Some(&ann.token), None).await;
    let token = server.operator_token("reader", "reader");
    let records = server.records(&token, "order=asc").await;

    let lookups: Vec<_> = records.iter().filter(|r| r["kind"] == "lookup").collect();
    let expected = [
        (json!("+14155550123"), json!("imessage"), "live-device", 200),
        (json!("nobody@example.com"), json!("none"), "never-registered", 200),
        (Value::Null, Value::Null, "handle-invalid", 400),
    ];
    assert_eq!(lookups.len(), expected.len());
    for (record, (handle, route, reason, status)) in lookups.iter().zip(expected) {
        has_exactly(record, LOOKUP);
        assert_eq!(record["request"], reply.header("x-request-id"));
        assert_eq!(
            (&record["account"], &record["device"]),
            (&json!(ben.account), &json!(ben.device))
        );
        assert_eq!(record["ip"], "127.0.0.1");
        assert_eq!((&record["handle"], &record["route"]), (&handle, &route));
        assert_eq!((&record["reason"], &record["status"]), (&json!(reason), &json!(status)));
        assert!(record["took_us"].is_u64(), "{record}");
    }
    let changes: Vec<_> = records.iter().filter(|r| r["kind"] == "change").collect();
    let told: Vec<_> = changes
        .iter()
        .map(|r| {
            (
                r["change"].as_str().unwrap(),
                r["device"].as_str().unwrap(),
                r["cause"].as_str().unwrap(),
            )
        })
        .collect();
    let (a, b) = (ann.device.as_str(), ben.device.as_str());
    let expected = [
        ("device-registered", a, "sign-up"),
        ("device-registered", b, "sign-up"),
        ("handle-bound", a, "proof"),
        ("handle-unbound", a, "sign-out"),
        ("device-removed", a, "sign-out"),
    ];
    assert_eq!(told, expected);
    for change in changes {
        let of_handle = change["change"].as_str().unwrap().starts_with("handle");
        let mut fields = vec!["at", "kind", "change", "device", "account", "cause"];
        fields.extend(of_handle.then_some("handle"));
        has_exactly(change, &fields);
    }
    let times: Vec<_> = records.iter().map(|r| instant(&r["at"])).collect();
    assert!(times.is_sorted());
}

#[tokio::test]
async fn refused_queries_are_recorded_with_their_code_and_no_route() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NEW_HANDLES_PER_DAY", "1000")];
    let server = Server::start_with(&env).await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_001).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let batch_call = || server.phone(Method::POST, "/v1/lookup").bearer_auth(&ben.token);
    let post = |body: Vec<u8>| with_json(batch_call(), body);
    let get = |path: &str| server.phone(Method::GET, path).bearer_auth(&ben.token);
    let many = json!({"handles": numbers}).to_string();
    let mut expected = Vec::new();
    for (request, code, status) in [
        (server.phone(Method::GET, "/v1/lookup/+14155550123"), "token-invalid", 401),
        (get("/v1/lookup/nonsense"), "handle-invalid", 400),
        (get("/v1/lookup/5550123?region=XX"), "handle-invalid", 400),
        (get("/v1/lookup/%FF"), "request-invalid", 400),
        (get("/v1/lookup/"), "handle-invalid", 400),
        (get("/v1/lookup/+14155550123?country=US"), "request-invalid", 400),
        (batch_call().body("{}"), "content-type-unsupported", 415),
        (
            post(many.clone().into()).header("content-encoding", "gzip"),
            "content-type-unsupported",
            415,
        ),
        (post(b"{".to_vec()), "request-invalid", 400),
        (post(many.into()), "too-many-handles", 422),
        (post(vec![b' '; 600_000]), "body-too-large", 413),
    ] {
        let reply = Reply::to(request).await;
        reply.refuses(status, code);
        let request = reply.header("x-request-id").to_owned();
        expected.push((request, code, status, Value::Null));
    }
    batch(&server, &ben, &numbers[..1_000]).await;
    let over = Reply::to(get("/v1/lookup/+14155551000")).await;
    over.refuses(429, "lookup-quota");
    let request = over.header("x-request-id").to_owned();
    expected.push((request, "lookup-quota", 429, json!("+14155551000")));

    let token = server.operator_token("reader", "reader");
    let records = server.records(&token, "kind=lookup&order=asc").await;
    let refused: Vec<_> = records.iter().filter(|r| r["status"] != 200).collect();
    assert_eq!(refused.len(), expected.len());
    for (record, (request, code, status, handle)) in refused.iter().zip(expected) {
        has_exactly(record, LOOKUP);
        assert_eq!((&record["request"], &record["reason"]), (&json!(request), &json!(code)));
        assert_eq!((&record["status"], &record["handle"]), (&json!(status), &handle));
        assert_eq!(record["route"], Value::Null);
        let known = if code == "token-invalid" { Value::Null } else { json!(ben.device) };
        assert_eq!(record["device"], known);
    }
}
