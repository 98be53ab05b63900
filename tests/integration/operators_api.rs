//! The operators' listener without the log: roles, refusals, counts, metrics, health, OpenAPI.

use dispatchd::{config::Config, operators::Role};
use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Server, add_operator, dispatchd, run},
    openapi::described::kept,
    timed::Timed,
    wire::{Reply, has_exactly, link},
};

const READ: &[&str] = &[
    "/v1/log",
    "/v1/log/tail",
    "/v1/log/export",
    "/v1/log/segments",
    "/v1/log/verify",
    "/v1/handles/+14155550123/timeline",
    "/v1/log/flips",
    "/v1/registry",
    "/v1/quota",
    "/v1/doctor",
];

#[tokio::test]
async fn nobody_reads_without_an_operator_token_and_a_revoked_one_ends_at_once() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let (reader, admin) =
        (server.operator_token("rea", "reader"), server.operator_token("adm", "admin"));
    for path in READ {
        let url = format!("{}{path}", server.operators);
        Reply::to(server.client.get(&url)).await.refuses(401, "token-invalid");
        for wrong in ["nonsense", &ben.token, &format!("{reader}x"), ""] {
            Reply::to(server.operator(wrong, path)).await.refuses(401, "token-invalid");
        }
        for token in [&reader, &admin] {
            let answer = server.operator(token, path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
    }
    let mut revoke = dispatchd();
    revoke.args(["operator", "revoke", "rea", "--data"]).arg(&server.data);
    assert!(run(&mut revoke).status.success());
    Reply::to(server.operator(&reader, "/v1/log")).await.refuses(401, "token-invalid");
    assert_eq!(Reply::to(server.operator(&admin, "/v1/log")).await.status, 200);
}

#[tokio::test]
async fn a_wrong_parameter_is_named_and_what_it_held_is_not() {
    let server = Server::start().await;
    let token = server.operator_token("reader", "reader");
    for path in ["/v1/log", "/v1/log/tail", "/v1/log/export"] {
        for name in [
            "handle", "device", "account", "ip", "route", "reason", "kind", "since", "until",
            "order", "limit", "cursor",
        ] {
            let reply =
                Reply::to(server.operator(&token, &format!("{path}?{name}=planted-415"))).await;
            let detail = reply.refuses(400, "request-invalid")["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("`{name}`")), "{name}: {detail}");
            assert!(!reply.text.contains("planted"), "{reply:?}");
        }
        for query in [
            "%2Bplanted=1",
            "route=sms&route=none",
            "ip=192.0.2.0/33",
            "limit=0",
            "limit=1001",
            "limit=-1",
        ] {
            let reply = Reply::to(server.operator(&token, &format!("{path}?{query}"))).await;
            reply.refuses(400, "request-invalid");
            assert!(!reply.text.contains("planted"), "{reply:?}");
        }
    }
    for path in ["/v1/log", "/v1/log/flips", "/v1/log/segments", "/v1/log/verify", "/v1/audit"] {
        let token = server.operator_token(&path.replace('/', "."), "admin");
        let reply = Reply::to(server.operator(&token, &format!("{path}?country=US"))).await;
        let detail = reply.refuses(400, "request-invalid")["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("the parameter `country` is unknown; this call takes "),
            "{detail}"
        );
    }
    for (path, status) in [("/", 404), ("/v1", 404), ("/v1/devices", 404), ("/v1/log/x", 404)] {
        Reply::to(server.operator(&token, path)).await.refuses(status, "not-found");
    }
    let post = server.client.post(format!("{}/v1/log", server.operators));
    Reply::to(post.bearer_auth(&token)).await.refuses(405, "method-not-allowed");
}

#[tokio::test]
async fn the_registry_counts_what_there_is() {
    let mut timed = Timed::start().await;
    let server = &timed.server;
    let old = server.sign_up().await;
    server.prove(&old, "+14155550129").await;
    timed.clock.advance(Config::default().registry.lease);
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    link(server, &ann).await;
    let token = server.operator_token("reader", "reader");
    let reply = Reply::to(server.operator(&token, "/v1/registry")).await;
    let fields = ["handles", "addresses", "devices", "accounts", "live", "by_platform", "memory"];
    let counts = reply.is(200, &fields);
    assert_eq!((&counts["handles"], &counts["devices"]), (&json!(3), &json!(3)));
    assert_eq!((&counts["accounts"], &counts["addresses"]), (&json!(2), &json!(1)));
    assert_eq!(counts["live"], json!({"handles": 2, "devices": 2}));
    let platforms = ["ios", "ipados", "macos", "watchos", "visionos", "other"];
    has_exactly(&counts["by_platform"], &platforms);
    let (ios, macos) = (&counts["by_platform"]["ios"], &counts["by_platform"]["macos"]);
    assert_eq!((ios, macos), (&json!(2), &json!(1)));
    let memory = &counts["memory"];
    let parts = ["accounts", "spare", "handle_table", "device_table", "tombstones"];
    has_exactly(memory, &[&parts[..], &["per_handle"]].concat());
    let total: u64 = parts.iter().map(|part| memory[part].as_u64().unwrap()).sum();
    assert_eq!(memory["per_handle"], total / 3);
    timed.stop().await;
}

#[tokio::test]
async fn health_is_answered_on_both_listeners_and_metrics_on_one() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for listener in [&server.phones, &server.operators] {
        let livez = Reply::to(server.client.get(format!("{listener}/livez"))).await;
        assert_eq!((livez.status, livez.text.as_str()), (200, ""));
        let readyz = Reply::to(server.client.get(format!("{listener}/readyz"))).await;
        assert_eq!(readyz.is(200, &["ready"])["ready"], true);
    }
    for handle in ["+14155550123", "+14155550123", "nobody@example.com", "nonsense"] {
        server.lookup(&ben, handle).await;
    }
    let metrics = Reply::to(server.scrape()).await;
    assert_eq!(metrics.status, 200);
    for line in [
        "dispatchd_lookups_total{route=\"sms\",reason=\"never-registered\"} 2",
        "dispatchd_lookups_total{route=\"none\",reason=\"never-registered\"} 1",
        "dispatchd_lookups_total{route=\"refused\",reason=\"handle-invalid\"} 1",
        "dispatchd_lookups_total{route=\"imessage\",reason=\"live-device\"} 0",
        "dispatchd_log_writable 1",
        "dispatchd_registry_ready 1",
        "# TYPE dispatchd_lookups_total counter",
    ] {
        assert!(
            metrics.text.lines().any(|is| is == line),
            "the metrics lack {line}:\n{}",
            metrics.text
        );
    }
    for (accept, content_type, is_openmetrics) in [
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8", false),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
    ] {
        let reply = server.scrape().header("accept", accept).send().await.unwrap();
        assert_eq!(reply.headers()["content-type"], content_type);
        let text = reply.text().await.unwrap();
        assert_eq!(text.ends_with("# EOF\n"), is_openmetrics, "{text}");
    }
}

#[tokio::test]
async fn metrics_take_a_token_and_the_role_metrics_opens_nothing_else() {
    let mut server = Server::start().await;
    let tokens = ["metrics", "reader", "admin"].map(|role| server.operator_token(role, role));
    for token in &tokens {
        assert_eq!(Reply::to(server.operator(token, "/metrics")).await.status, 200);
    }
    let device = server.sign_up().await;
    let without = || server.client.get(format!("{}/metrics", server.operators));
    Reply::to(without()).await.refuses(401, "token-invalid");
    for token in ["do_nobody", &*device.token] {
        Reply::to(server.operator(token, "/metrics")).await.refuses(401, "token-invalid");
    }
    // Every other call that takes an operator's token.
    let (described, mut refused) = (kept(), 0);
    for (path, item) in described["paths"].as_object().unwrap() {
        let url = format!("{}{}", server.operators, path.replace("{handle}", "+14155550123"));
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let call = &item[method.as_str().to_lowercase()];
            let least = &call["security"][0]["operator"][0];
            if path != "/metrics" && least.is_string() {
                // What nodes ask each other is for nobody else.
                let others = if least == "member" { &tokens[..] } else { &tokens[..1] };
                for token in others {
                    let request = server.client.request(method.clone(), &url).bearer_auth(token);
                    Reply::to(request).await.refuses(403, "role-insufficient");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused >= 30, "{refused} calls were refused");
    // Whoever has the role of nodes, but not what one has signed, is nobody.
    let unsigned = add_operator(&server.data, "member-b", Role::Member);
    Reply::to(server.operator(&unsigned, "/metrics")).await.refuses(401, "token-invalid");

    server.set_env(&[("TELEMETRY__METRICS_OPEN", "true")]);
    server.restart().await;
    let open = server.client.get(format!("{}/metrics", server.operators));
    assert_eq!(Reply::to(open).await.status, 200);
}
