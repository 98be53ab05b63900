//! Devices: every field of each successful answer, every refusal by its code, and what all refusals have in common.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::Server,
    wire::{Reply, call, instant, link, with_json},
};

const SIGNED_UP: &[&str] = &["device", "account", "token", "lease_expires_at"];
const ME: &[&str] = &[
    "device",
    "expires_in",
    "account",
    "platform",
    "name",
    "registered_at",
    "last_check_in_at",
    "lease_expires_at",
    "handles",
    "lost_handles",
];

async fn sign_up(server: &Server, body: Value) -> Reply {
    call(server, Method::POST, "/v1/devices", None, Some(body)).await
}

#[tokio::test]
async fn every_platform_signs_up_and_sees_itself() {
    let server = Server::start().await;
    for platform in ["ios", "ipados", "macos", "watchos", "visionos", "other"] {
        let made = sign_up(&server, json!({"platform": platform, "name": "Zoë's"})).await;
        let body = made.is(201, SIGNED_UP);
        assert_eq!(made.header("cache-control"), "no-store");
        let token = body["token"].as_str().unwrap();
        assert!(token.len() >= 40, "the token has too few random bits");

        let seen = call(&server, Method::GET, "/v1/devices/me", Some(token), None).await;
        let me = seen.is(200, ME);
        assert!(!seen.text.contains(token), "the server returned the token a second time");
        for field in ["device", "account", "lease_expires_at"] {
            assert_eq!(me[field], body[field]);
        }
        assert_eq!(
            (&me["platform"], &me["name"], &me["handles"]),
            (&json!(platform), &json!("Zoë's"), &json!([]))
        );
        let lease = instant(&me["lease_expires_at"]).since(instant(&me["last_check_in_at"]));
        assert_eq!(lease.as_secs(), 14 * 24 * 3600);
        let left = me["expires_in"].as_u64().unwrap();
        assert!((14 * 24 * 3600 - 60..=14 * 24 * 3600).contains(&left), "{left}");
        assert_eq!(me["lost_handles"], json!([]));
        assert_eq!(me["registered_at"], me["last_check_in_at"]);
    }
    let nameless = sign_up(&server, json!({"platform": "ios"})).await;
    let token = nameless.body["token"].as_str().unwrap();
    let me = call(&server, Method::GET, "/v1/devices/me", Some(token), None).await;
    assert_eq!(me.is(200, ME)["name"], Value::Null);
}

#[tokio::test]
async fn a_sign_up_that_makes_no_sense_is_refused_without_an_echo() {
    let server = Server::start().await;
    let bodies = [
        json!({}),
        json!({"platform": "planted-4155550123"}),
        json!({"platform": "ios", "planted-4155550123": 1}),
        json!({"platform": "ios", "name": "4155550123".repeat(13)}),
        json!({"platform": ["planted-4155550123"]}),
        json!("planted-4155550123"),
    ];
    for body in bodies {
        let refused = sign_up(&server, body).await;
        refused.refuses(400, "request-invalid");
        assert!(!refused.text.contains("4155550123"), "{refused:?}");
    }
    for text in ["", "{", "4155550123", "{\"platform\": \"ios\"} x", "\u{0}"] {
        let request = server.phone(Method::POST, "/v1/devices");
        Reply::to(with_json(request, text)).await.refuses(400, "request-invalid");
    }
    let large = with_json(server.phone(Method::POST, "/v1/devices"), vec![b' '; 600_000]);
    Reply::to(large).await.refuses(413, "body-too-large");
}

#[tokio::test]
async fn who_signs_out_is_gone_at_once() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "ann@example.com").await;
    assert_eq!(server.route(&ben, "ann@example.com").await, "imessage");
    let path = "/v1/devices/me";
    let gone = call(&server, Method::DELETE, path, Some(&ann.token), None).await;
    gone.is(204, &[]);
    assert_eq!(gone.text, "");
    assert_eq!(server.route(&ben, "ann@example.com").await, "none");
    let again = call(&server, Method::DELETE, path, Some(&ann.token), None).await;
    again.refuses(401, "token-invalid");
}

#[tokio::test]
async fn a_link_code_joins_the_account_once_and_backs_its_handles() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    let path = "/v1/devices/me/link-codes";
    let made = call(&server, Method::POST, path, Some(&ann.token), None).await;
    let body = made.is(201, &["link_code", "expires_at"]);
    instant(&body["expires_at"]);
    assert_eq!(made.header("cache-control"), "no-store");

    let with_code = json!({"platform": "macos", "link_code": body["link_code"]});
    let joined = sign_up(&server, with_code.clone()).await;
    assert_eq!(joined.is(201, SIGNED_UP)["account"], ann.account);
    assert_ne!(joined.body["device"], ann.device);
    sign_up(&server, with_code).await.refuses(403, "link-code-invalid");
    for wrong in ["", "nonsense", "ABCD-EFGH", "\u{1F600}"] {
        let body = json!({"platform": "ios", "link_code": wrong});
        sign_up(&server, body).await.refuses(403, "link-code-invalid");
    }

    // After the first device signs out, the second still backs the handle.
    let me =
        call(&server, Method::GET, "/v1/devices/me", joined.body["token"].as_str(), None).await;
    assert_eq!(me.body["handles"][0]["handle"], "+14155550123");
    call(&server, Method::DELETE, "/v1/devices/me", Some(&ann.token), None).await.is(204, &[]);
    assert_eq!(server.route(&ben, "+14155550123").await, "imessage");
}

#[tokio::test]
async fn open_link_codes_are_limited_and_the_refusal_says_when() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let path = "/v1/devices/me/link-codes";
    for _ in 0..3 {
        call(&server, Method::POST, path, Some(&ann.token), None)
            .await
            .is(201, &["link_code", "expires_at"]);
    }
    let fourth = call(&server, Method::POST, path, Some(&ann.token), None).await;
    let body = fourth.refuses(429, "rate-limited");
    assert_eq!((&body["limit"], &body["cost"]), (&json!("link-codes"), &json!(1)));
    assert!((590..=600).contains(&fourth.retry_after()));
}

#[tokio::test]
async fn an_account_holds_as_many_devices_as_configured() {
    let server = Server::start_with(&[("REGISTRY__DEVICES_PER_ACCOUNT", "2")]).await;
    let ann = server.sign_up().await;
    let second = link(&server, &ann).await;
    assert_eq!(second.account, ann.account);
    let path = "/v1/devices/me/link-codes";
    let made = call(&server, Method::POST, path, Some(&ann.token), None).await;
    let body = json!({"platform": "ios", "link_code": made.body["link_code"]});
    sign_up(&server, body).await.refuses(409, "too-many-devices");
}

#[tokio::test]
async fn sign_ups_from_one_network_are_limited() {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__SIGN_UPS_PER_HOUR", "3")];
    let server = Server::start_with(&env).await;
    for _ in 0..3 {
        server.sign_up().await;
    }
    let refused = sign_up(&server, json!({"platform": "ios"})).await;
    let body = refused.refuses(429, "rate-limited");
    assert_eq!((&body["limit"], &body["cost"]), (&json!("sign-ups"), &json!(1)));
    assert_eq!(body["retry_after"], refused.retry_after());
    assert!((1..=1200).contains(&refused.retry_after()));
}

/// Every call that takes a device token, with a valid body.
const CALLS: &[(&str, &str, &str)] = &[
    ("GET", "/v1/devices/me", ""),
    ("DELETE", "/v1/devices/me", ""),
    ("POST", "/v1/devices/me/check-in", ""),
    ("POST", "/v1/devices/me/link-codes", ""),
    ("POST", "/v1/devices/me/handles", r#"{"handle":"+14155550123"}"#),
    ("DELETE", "/v1/devices/me/handles/%2B14155550123", ""),
    ("PATCH", "/v1/devices/me/handles/%2B14155550123", r#"{"discoverable":false}"#),
    ("GET", "/v1/lookup/%2B14155550123", ""),
    ("POST", "/v1/lookup", r#"{"handles":["+14155550123"]}"#),
];

#[tokio::test]
async fn no_call_is_answered_without_a_device_token() {
    let server = Server::start().await;
    let operator = server.operator_token("reader", "reader");
    let ann = server.sign_up().await;
    let wrong = [
        None,
        Some("Bearer nonsense".to_owned()),
        Some("Bearer".to_owned()),
        Some(format!("Basic {}", ann.token)),
        Some(ann.token.clone()),
        Some(format!("Bearer {operator}")),
        Some(format!("Bearer {}", ann.device)),
        Some(format!("Bearer {}x", ann.token)),
        Some(format!("Bearer {}", "x".repeat(4_000))),
    ];
    for (method, path, body) in CALLS {
        for header in &wrong {
            let method: Method = method.parse().unwrap();
            let mut request = server.phone(method, path).body(*body);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            Reply::to(request).await.refuses(401, "token-invalid");
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_refused_in_the_same_form() {
    let server = Server::start().await;
    for path in ["/", "/v1", "/v1/devices/", "/v1/lookup/a/b", "/metrics", "/v1/log"] {
        let reply = call(&server, Method::GET, path, None, None).await;
        reply.refuses(404, "not-found");
    }
    for (method, path) in [
        (Method::PUT, "/v1/devices"),
        (Method::DELETE, "/v1/lookup"),
        (Method::POST, "/v1/lookup/%2B14155550123"),
        (Method::GET, "/v1/deregistrations"),
        (Method::POST, "/livez"),
    ] {
        let reply = call(&server, method, path, None, None).await;
        reply.refuses(405, "method-not-allowed");
        assert!(!reply.header("allow").is_empty());
    }
    let head = server.phone(Method::HEAD, "/readyz").send().await.unwrap();
    assert!(head.headers().contains_key("x-request-id"));
}
