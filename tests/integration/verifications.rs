//! Verifications: right, wrong, late and unknown codes, and deregistration without a device.

use std::time::Duration;

use dispatchd::clock::{ManualClock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server, client},
    wire::{Reply, call, in_process, instant},
};

async fn begin(server: &Server, device: &Device, handle: &str) -> String {
    let path = "/v1/devices/me/handles";
    let body = Some(json!({"handle": handle}));
    let sent = call(server, Method::POST, path, Some(&device.token), body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    sent.body["verification"].as_str().unwrap().to_owned()
}

async fn try_code(server: &Server, verification: &str, code: &str) -> Reply {
    let path = format!("/v1/verifications/{verification}");
    call(server, Method::POST, &path, None, Some(json!({"code": code}))).await
}

/// Another code of the same form.
fn wrong(code: &str) -> String {
    let other = |digit: char| if digit == '9' { '0' } else { '9' };
    code.chars().map(other).collect()
}

#[tokio::test]
async fn the_right_code_binds_and_is_good_once() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let verification = begin(&server, &ann, "+14155550123").await;
    let code = server.code_for(&verification);
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()));
    let bound = try_code(&server, &verification, &code).await;
    let body = bound.is(200, &["handle", "proved_at"]);
    assert_eq!(body["handle"], "+14155550123");
    instant(&body["proved_at"]);
    assert_eq!(bound.header("cache-control"), "no-store");
    // A phone that lost the first answer gets it again, for a minute.
    let again = try_code(&server, &verification, &code).await;
    assert_eq!(again.is(200, &["handle", "proved_at"]), bound.is(200, &["handle", "proved_at"]));
    try_code(&server, &verification, &wrong(&code)).await.refuses(404, "verification-unknown");
}

/// Digits of the script whose zero is `zero`.
fn in_script(code: &str, zero: u32) -> String {
    let digit = |c: char| char::from_u32(zero + c.to_digit(10).unwrap()).unwrap();
    code.chars().map(digit).collect()
}

#[tokio::test]
async fn codes_are_read_as_people_type_them() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let typed: [fn(&str) -> String; 9] = [
        |code| format!("{code}\n"),
        |code| format!("\u{A0}{code}"),
        |code| format!("{}\u{A0}{}", &code[..3], &code[3..]),
        |code| format!("{} {}", &code[..3], &code[3..]),
        |code| format!("{}-{}", &code[..3], &code[3..]),
        |code| format!("\u{200E}{code}"),
        |code| in_script(code, 0x660),
        |code| in_script(code, 0x6F0),
        |code| in_script(code, 0xFF10),
    ];
    for (number, typed) in typed.into_iter().enumerate() {
        let handle = format!("+1415555{number:04}");
        let verification = begin(&server, &ann, &handle).await;
        let code = server.code_for(&verification);
        let bound = try_code(&server, &verification, &typed(&code)).await;
        assert_eq!(bound.is(200, &["handle", "proved_at"])["handle"], handle);
    }
}

#[tokio::test]
async fn wrong_codes_count_down_and_end_the_verification() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let verification = begin(&server, &ann, "+14155550123").await;
    let code = server.code_for(&verification);
    for left in [4, 3, 2, 1] {
        let refused = try_code(&server, &verification, &wrong(&code)).await;
        assert_eq!(refused.refuses(403, "code-wrong")["attempts_left"], left);
    }
    for tried in [wrong(&code), code] {
        let refused = try_code(&server, &verification, &tried).await;
        let body = refused.refuses(429, "rate-limited");
        assert_eq!((&body["limit"], &body["attempts_left"]), (&json!("code-attempts"), &json!(0)));
    }
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
}

#[tokio::test]
async fn codes_that_are_none_and_verifications_that_never_were() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let verification = begin(&server, &ann, "+14155550123").await;
    // What cannot be a code costs no attempt.
    for odd in ["", "12345", "0000000000000000", "abcdef"] {
        let refused = try_code(&server, &verification, odd).await;
        assert_eq!(refused.refuses(403, "code-wrong")["attempts_left"], 5);
    }
    for unknown in ["v_0000000000000", "nonsense", "%20", "%FF", &"v".repeat(500)] {
        let refused = try_code(&server, unknown, "123456").await;
        refused.refuses(404, "verification-unknown");
    }
    for body in [json!({}), json!({"code": 123_456}), json!(["123456"])] {
        let path = format!("/v1/verifications/{verification}");
        let refused = call(&server, Method::POST, &path, None, Some(body)).await;
        refused.refuses(400, "request-invalid");
        assert!(!refused.text.contains("123456"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_code_that_comes_too_late_says_so_and_a_new_one_may_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let (server, _) = in_process(&folder.path().join("data"), &clock).await;
    let base = format!("http://{}", server.addresses().phones);
    let client = client().build().unwrap();
    let post = async |path: &str, token: &str, body: Value| {
        let request = client.post(format!("{base}{path}")).bearer_auth(token);
        Reply::to(request.json(&body)).await
    };
    let signed_up = post("/v1/devices", "", json!({"platform": "ios"})).await;
    let token = signed_up.body["token"].as_str().unwrap();
    let handle = json!({"handle": "+14155550123"});
    // A device's new code continues its verification, which an early request gives again. A request without a token starts
    // a new one, because anyone may send it.
    for (path, is_continued) in [("/v1/devices/me/handles", true), ("/v1/deregistrations", false)] {
        let first = post(path, token, handle.clone()).await;
        for pause in [30, 60] {
            let early = post(path, token, handle.clone()).await;
            if is_continued {
                assert_eq!(early.status, 202, "{early:?}");
                assert_eq!(early.body["verification"], first.body["verification"]);
            } else {
                early.refuses(429, "rate-limited");
                assert_eq!(early.retry_after(), pause);
            }
            clock.advance(Duration::from_secs(pause));
            let resent = post(path, token, handle.clone()).await;
            assert_eq!(resent.status, 202);
            let is_same = resent.body["verification"] == first.body["verification"];
            assert_eq!(is_same, is_continued, "{path}");
        }
        clock.advance(Duration::from_secs(600));
        let id = first.body["verification"].as_str().unwrap();
        let late = format!("/v1/verifications/{id}");
        let late = post(&late, "", json!({"code": "123456"})).await;
        late.refuses(410, "code-expired");
        // Without a token three codes a day may be asked for.
        clock.advance(Duration::from_secs(24 * 3600));
        let anew = post(path, token, handle.clone()).await;
        assert_eq!(anew.status, 202);
        assert_ne!(anew.body["verification"], first.body["verification"]);
    }
    assert!(server.stop().await);
}
