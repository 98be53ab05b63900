//! Handles do not leak. Messages at TRACE, metrics and refusals hold no personal data, whatever a client sends.
//! Handles that clients only looked up are on disk in encrypted form only.

use std::{net::IpAddr, time::Duration};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    harness::{Server, bytes_below, client, holds_code},
    wire::{Reply, call, with_json},
};

/// The source address of every planted request.
const ADDRESS: &str = "127.13.37.42";
const PHONE: &str = "+14085559731";
const EMAIL: &str = "zyxwv.planted@quuxmail.example";
/// Devices look these up, but nobody registers them.
const ASKED: &[&str] = &["+442079460958", "vutsr.asked@corgemail.example"];

/// Every form in which the text could leak.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let percent: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
    let encoded = text.replace('+', "%2B").replace('@', "%40");
    let mut forms = vec![
        text.to_owned(),
        text.to_lowercase(),
        text.to_uppercase(),
        encoded.to_lowercase(),
        encoded,
        percent.to_lowercase(),
        percent,
        BASE64.encode(bytes),
        BASE64URL_NOPAD.encode(bytes),
        HEXLOWER.encode(bytes),
        HEXLOWER.encode(bytes).to_uppercase(),
        format!("{bytes:?}"),
    ];
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= 9 {
        forms.push(digits[1..].to_owned());
        forms.push(format!(
            "{}-{}",
            &digits[digits.len() - 7..digits.len() - 4],
            &digits[digits.len() - 4..]
        ));
        forms.push(digits);
    }
    if let Some((local, domain)) = text.split_once('@') {
        forms.extend([local.to_owned(), domain.to_owned()]);
    }
    forms.into_iter().map(String::into_bytes).collect()
}

#[track_caller]
fn holds_none(place: &str, text: &[u8], planted: &[String]) {
    for value in planted {
        for form in forms(value) {
            let found = text.windows(form.len()).position(|window| window == form);
            assert!(
                found.is_none(),
                "{place} holds {value} as {:?}: …{}…",
                String::from_utf8_lossy(&form),
                String::from_utf8_lossy(
                    &text[found.unwrap_or(0).saturating_sub(80)..][..160.min(text.len())]
                )
            );
        }
    }
}

/// Malformed requests of every kind, with planted values in every part of a request.
fn odd_requests(server: &Server, token: &str) -> Vec<RequestBuilder> {
    let phone = |method: Method, path: &str| server.phone(method, path);
    let mut requests = Vec::new();
    for value in [PHONE, EMAIL, "408-555-9731"] {
        let (encoded, long) = (value.replace('+', "%2B"), value.repeat(60));
        for path in [
            format!("/v1/lookup/{encoded}"),
            format!("/v1/lookup/{encoded}%FF"),
            format!("/v1/lookup/{long}"),
            format!("/v1/lookup/{encoded}?region={encoded}"),
            format!("/v1/lookup/{encoded}/x"),
            format!("/{encoded}"),
            format!("/v1/devices/me/handles/{encoded}"),
            format!("/v1/verifications/{encoded}"),
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::PATCH, Method::PUT] {
                requests.push(phone(method.clone(), &path).bearer_auth(token));
                requests.push(phone(method.clone(), &path).bearer_auth(value));
                requests.push(phone(method, &path).header("x-planted", value).body(value));
            }
        }
        for path in [
            "/v1/devices",
            "/v1/devices/me/handles",
            "/v1/lookup",
            "/v1/deregistrations",
            "/v1/verifications/v_0000000000000",
        ] {
            for body in [
                json!(value).to_string(),
                format!("{{\"handle\": \"{value}"),
                format!("{{\"{value}\": 1}}"),
                json!({"handle": [value], "handles": value, "code": [value], "platform": value}).to_string(),
                json!({"handle": value, "handles": [value], "region": value, "link_code": value, "code": value}).to_string(),
                json!({"platform": "ios", "name": value.repeat(20)}).to_string(),
                json!({"handles": [value, {"x": value}]}).to_string(),
                value.repeat(40_000),
            ] {
                requests.push(with_json(phone(Method::POST, path).bearer_auth(token), body));
            }
        }
        for name in ["handle", "device", "ip", "since", "cursor", "limit", value] {
            let path = format!("/v1/log?{}={encoded}", name.replace('+', "%2B"));
            requests.push(server.operator(token, &path));
            requests.push(server.operator(value, &path));
        }
    }
    requests
}

async fn nothing_leaks_with(format: &str) {
    let env =
        [("TELEMETRY__LEVEL", "trace"), ("TELEMETRY__FORMAT", format), ("QUOTA__ENABLED", "true")];
    let mut server = Server::start_with(&env).await;
    let address: IpAddr = ADDRESS.parse().unwrap();
    server.client = client().local_address(address).build().unwrap();
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, PHONE).await;
    server.prove(&ann, EMAIL).await;
    let made =
        call(&server, Method::POST, "/v1/devices/me/link-codes", Some(&ann.token), None).await;
    for handle in [PHONE, EMAIL, ASKED[0], ASKED[1]] {
        server.lookup(&ben, handle).await;
    }
    let operator = server.operator_token("reader", "reader");
    let mut planted: Vec<_> =
        [PHONE, EMAIL, ASKED[0], ASKED[1], ADDRESS, &ann.token, &ben.token, &operator]
            .map(str::to_owned)
            .into();
    planted.push(made.body["link_code"].as_str().unwrap().to_owned());

    let token = ben.token.clone();
    for request in odd_requests(&server, &token) {
        let reply = Reply::to(request).await;
        let told = ["title", "detail", "type", "code", "reason", "limit"]
            .map(|field| reply.body[field].to_string());
        if reply.status >= 400 {
            holds_none("a refusal", told.join(" ").as_bytes(), &planted);
        }
        assert!(reply.status < 500, "{reply:?}");
    }
    assert!(server.is_running());
    let records =
        server.operator(&operator, &format!("/v1/log?handle={}", PHONE.replace('+', "%2B")));
    assert_eq!(Reply::to(records).await.status, 200);
    for accept in ["text/plain", "application/openmetrics-text"] {
        let metrics = Reply::to(server.scrape().header("accept", accept)).await;
        // The planted requests are in it: as calls that failed, and codes by country.
        for met in ["call=\"other\",status=\"404\"", "call=\"claimHandle\"", "country=\"1\""] {
            assert!(metrics.text.contains(met), "{met} is not in {}", metrics.text);
        }
        holds_none("/metrics", metrics.text.as_bytes(), &planted);
    }
    let codes: Vec<_> =
        server.outbox().iter().map(|line| line["code"].as_str().unwrap().to_owned()).collect();

    assert!(server.stop().await.success());
    let output = server.output();
    assert!(
        output.contains("TRACE") || output.contains("DEBUG"),
        "telemetry.level had no effect:\n{output}"
    );
    holds_none("the server's output", output.as_bytes(), &planted);
    // A timestamp may contain six digits. A separate word must not.
    for code in codes {
        assert!(!holds_code(&output, &code), "the server's output holds a code");
    }
}

#[tokio::test]
async fn messages_metrics_and_refusals_hold_nothing_personal() {
    nothing_leaks_with("text").await;
}

#[tokio::test]
async fn nor_do_messages_for_machines() {
    nothing_leaks_with("json").await;
}

/// A handle as text, digits, number and digest, each also reversed.
fn on_disk_forms(handle: &str) -> Vec<Vec<u8>> {
    use aws_lc_rs::digest;
    let mut all = forms(handle);
    let digits: String = handle.chars().filter(char::is_ascii_digit).collect();
    let mut texts = vec![handle.to_owned()];
    if let Ok(number) = digits.parse::<u64>() {
        all.push(number.to_le_bytes()[..6].to_vec());
        all.push(number.to_be_bytes()[2..].to_vec());
        texts.push(digits);
    }
    for text in texts {
        for algorithm in [&digest::SHA256, &digest::SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA512] {
            let hash = digest::digest(algorithm, text.as_bytes());
            all.push(hash.as_ref().to_vec());
            all.push(HEXLOWER.encode(hash.as_ref()).into_bytes());
        }
        all.push(text.bytes().rev().collect());
    }
    all
}

fn disk_holds_none(server: &Server, when: &str) {
    let files = bytes_below(&server.data);
    assert!(files.iter().any(|(_, bytes)| bytes.len() > 1_000));
    for (path, bytes) in files {
        for handle in ASKED {
            for form in on_disk_forms(handle) {
                let found = bytes.windows(form.len()).any(|window| window == form);
                assert!(!found, "{when}, {} holds {handle} as {form:?}", path.display());
            }
        }
    }
}

async fn asked_handles_are_not_on_disk_with(durability: &str) {
    let mut server = Server::start_with(&[("LOG__DURABILITY", durability)]).await;
    let ben = server.sign_up().await;
    server.prove(&ben, PHONE).await;
    for _ in 0..20 {
        for handle in ASKED {
            server.lookup(&ben, handle).await;
        }
        let body = json!({"handles": ASKED});
        call(&server, Method::POST, "/v1/lookup", Some(&ben.token), Some(body)).await;
    }
    disk_holds_none(&server, "while it runs");
    // The search is able to find a handle: the registry's store holds a registered one.
    let digits = PHONE[1..].parse::<u64>().unwrap();
    let outbox = std::fs::read(server.data.join("outbox.ndjson")).unwrap();
    assert!(outbox.windows(PHONE.len()).any(|window| window == PHONE.as_bytes()), "{digits}");
    let token = server.operator_token("reader", "reader");
    assert_eq!(server.records(&token, "kind=lookup").await.len(), 80);
    assert!(server.stop().await.success());
    tokio::time::sleep(Duration::from_millis(10)).await;
    disk_holds_none(&server, "after the stop");
}

#[tokio::test]
async fn what_was_asked_is_not_on_disk_in_the_clear_when_synced() {
    asked_handles_are_not_on_disk_with("disk").await;
}

#[tokio::test]
async fn nor_when_left_to_the_system() {
    asked_handles_are_not_on_disk_with("os").await;
}
