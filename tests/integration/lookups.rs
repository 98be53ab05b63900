//! Lookups: shapes, order, spellings, groups, batch limits, and how long clients may cache an answer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server},
    wire::{Reply, batch, call, has_exactly, link, with_json},
};

const BLUE: &[&str] = &["input", "handle", "route", "subject", "expires_in"];
const OTHER: &[&str] = &["input", "handle", "route", "expires_in"];

async fn get(server: &Server, device: &Device, encoded: &str) -> Reply {
    let path = format!("/v1/lookup/{encoded}");
    call(server, Method::GET, &path, Some(&device.token), None).await
}

#[tokio::test]
async fn each_route_has_its_shape_and_says_how_long_it_may_be_kept() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    let (number, mail) = ("+14155550123", "x+y@example.com");
    let spelled = "+1 (415) 555-0123";
    for (encoded, input, handle, route, fields) in [
        ("+14155550123", number, number, "imessage", BLUE),
        ("%2B1%20%28415%29%20555-0123", spelled, number, "imessage", BLUE),
        ("tel:+14155550123", "tel:+14155550123", number, "imessage", BLUE),
        ("4155550124?region=US", "4155550124", "+14155550124", "sms", OTHER),
        ("4155550124?region=us", "4155550124", "+14155550124", "sms", OTHER),
        ("X%2By@EXAMPLE.com", "X+y@EXAMPLE.com", mail, "none", OTHER),
        ("x+y@example.com", mail, mail, "none", OTHER),
        ("mailto:x@example.com", "mailto:x@example.com", "x@example.com", "none", OTHER),
    ] {
        let reply = get(&server, &ben, encoded).await;
        let body = reply.is(200, fields);
        assert_eq!(
            (&body["input"], &body["handle"], &body["route"]),
            (&json!(input), &json!(handle), &json!(route)),
            "{encoded}"
        );
        let age = format!("private, max-age={}", body["expires_in"]);
        assert_eq!(reply.header("cache-control"), age);
        let reuse = if route == "imessage" { 3_600 } else { 300 };
        assert_eq!(body["expires_in"], reuse);
    }
}

#[tokio::test]
async fn what_is_no_handle_is_refused_by_its_reason() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for (encoded, reason) in [
        ("%20", "empty"),
        ("+1415555", "too-short"),
        ("+1415555012345678", "too-long"),
        ("hello", "not-a-number"),
        ("+9991234567890", "unknown-country"),
        ("4155550123", "needs-region"),
        ("4155550123?region=XX", "unknown-country"),
        ("planted.secret@", "not-an-address"),
        ("+14155550123;ext=22", "extension"),
    ] {
        let refused = get(&server, &ben, encoded).await;
        let body = refused.refuses(400, "handle-invalid");
        assert_eq!((&body["reason"], &body["retry"]), (&json!(reason), &json!("after-fixing")));
        for planted in ["4155550123", "planted.secret"] {
            assert!(!refused.text.contains(planted), "{refused:?}");
        }
    }
    for odd in ["%FF", "a%00%FF", "x@example.com?region=US&region=DE"] {
        get(&server, &ben, odd).await.refuses(400, "request-invalid");
    }
}

#[tokio::test]
async fn a_batch_answers_in_the_order_asked_and_faults_are_items() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    let asked = ["+14155550124", "ANN@example.com", "x", "+14155550123", "", "+14155550123"];
    let reply = batch(&server, &ben, &asked).await;
    let body = reply.is(200, &["answers", "together"]);
    let answers = body["answers"].as_array().unwrap();
    let inputs: Vec<_> = answers.iter().map(|a| a["input"].as_str().unwrap()).collect();
    assert_eq!(inputs, asked);
    for (at, fields) in [(0, OTHER), (1, BLUE), (3, BLUE), (5, BLUE)] {
        has_exactly(&answers[at], fields);
    }
    for (at, reason) in [(2, "not-a-number"), (4, "empty")] {
        has_exactly(&answers[at], &["input", "error"]);
        let error = json!({"code": "handle-invalid", "reason": reason});
        assert_eq!(answers[at]["error"], error);
    }
    assert_eq!(answers[1]["subject"], answers[3]["subject"]);
    assert_eq!(answers[3], answers[5]);
    assert_eq!(body["together"], "none");
    assert_eq!(reply.header("cache-control"), "private, max-age=300");

    let national = json!({"handles": ["415 555 0123", "+447700900123"], "region": "US"});
    let path = "/v1/lookup";
    let reply = call(&server, Method::POST, path, Some(&ben.token), Some(national)).await;
    assert_eq!(reply.body["answers"][0]["handle"], "+14155550123");
    assert_eq!(reply.body["answers"][1]["handle"], "+447700900123");
}

#[tokio::test]
async fn together_is_the_route_the_whole_group_can_use() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    let (blue, mail, green, nobody) =
        ("+14155550123", "ann@example.com", "+14155550124", "nobody@example.com");
    for (handles, together) in [
        (vec![blue], "imessage"),
        (vec![blue, mail], "imessage"),
        (vec![green], "sms"),
        (vec![green, "+14155550125"], "sms"),
        (vec![blue, green], "mixed"),
        (vec![nobody], "none"),
        (vec![blue, nobody], "none"),
        (vec![blue, green, nobody], "none"),
        (vec![blue, "nonsense"], "none"),
    ] {
        let reply = batch(&server, &ben, &handles).await;
        assert_eq!(reply.body["together"], together, "{handles:?}");
    }
}

#[tokio::test]
async fn a_batch_has_limits_and_says_which() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_001).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let full = batch(&server, &ben, &numbers[..1_000]).await;
    let answers = full.is(200, &["answers", "together"])["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 1_000);
    for (answer, number) in answers.iter().zip(&numbers) {
        assert_eq!(answer["input"], *number);
    }
    batch(&server, &ben, &numbers).await.refuses(422, "too-many-handles");
    batch(&server, &ben, &[]).await.refuses(400, "request-invalid");
    let post = |body: Vec<u8>| {
        let request = server.phone(Method::POST, "/v1/lookup");
        Reply::to(with_json(request.bearer_auth(&ben.token), body))
    };
    // Also where the server refuses long before the client has sent the whole body.
    for bytes in [512 * 1024 + 1, 600_000, 3_000_000] {
        post(vec![b'['; bytes]).await.refuses(413, "body-too-large");
    }
    for body in [
        "",
        "{",
        "[]",
        r#" [["+14155550123"]]"#,
        "null",
        r#"{"handles":"+14155550123"}"#,
        r#"{"handles":[14155550123]}"#,
        r#"{"handles":["+14155550123"],"secret-4155550123":1}"#,
        r#"{"handles":["+14155550123"],"region":4155550123}"#,
        r#"{"handles":["+14155550123",]}"#,
        r#"{"handles":["+14155550123"]} 4155550123"#,
        r#"{"handle":"+14155550123"}"#,
    ] {
        let refused = post(body.into()).await;
        refused.refuses(400, "request-invalid");
        assert!(!refused.text.contains("4155550123"), "{refused:?}");
    }
    post(b"{\"handles\":[\"\xFF\xFE\"]}".to_vec()).await.refuses(400, "request-invalid");
}

#[tokio::test]
async fn a_subject_is_one_for_an_account_and_another_for_another_asker() {
    let mut server = Server::start().await;
    let (ann, ben, carl) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    server.prove(&carl, "carl@example.com").await;
    let bens_mac = link(&server, &ben).await;
    let subject = async |server: &Server, asker: &Device, handle: &str| -> Value {
        let (_, answer) = server.lookup(asker, handle).await;
        assert!(answer["subject"].as_str().unwrap().len() >= 16, "{answer}");
        answer["subject"].clone()
    };
    let seen = subject(&server, &ben, "+14155550123").await;
    assert_eq!(subject(&server, &ben, "ann@example.com").await, seen);
    assert_eq!(subject(&server, &bens_mac, "ann@example.com").await, seen);
    assert_ne!(subject(&server, &carl, "ann@example.com").await, seen);
    assert_ne!(subject(&server, &ben, "carl@example.com").await, seen);
    assert!(!seen.as_str().unwrap().contains(&ann.account[2..]));

    assert!(server.stop().await.success());
    server.spawn().await;
    assert_eq!(subject(&server, &ben, "+14155550123").await, seen);
    server.kill();
    server.spawn().await;
    assert_eq!(subject(&server, &bens_mac, "+14155550123").await, seen);
}
