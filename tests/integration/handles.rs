//! Handles: claim, unbind, hide.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server},
    wire::{Reply, call, has_exactly, instant, link},
};

const SENT: &[&str] =
    &["verification", "handle", "sent_by", "expires_at", "next_send_at", "attempts_left"];
const HELD: &[&str] = &["handle", "proved_at", "discoverable"];

pub(crate) async fn claim(server: &Server, device: &Device, body: Value) -> Reply {
    let path = "/v1/devices/me/handles";
    call(server, Method::POST, path, Some(&device.token), Some(body)).await
}

pub(crate) async fn give_up(server: &Server, device: &Device, encoded: &str) -> Reply {
    let path = format!("/v1/devices/me/handles/{encoded}");
    call(server, Method::DELETE, &path, Some(&device.token), None).await
}

pub(crate) async fn discoverable(
    server: &Server,
    device: &Device,
    encoded: &str,
    is_so: bool,
) -> Reply {
    let path = format!("/v1/devices/me/handles/{encoded}");
    let body = json!({"discoverable": is_so});
    call(server, Method::PATCH, &path, Some(&device.token), Some(body)).await
}

pub(crate) async fn own_handles(server: &Server, device: &Device) -> Vec<String> {
    let me = call(server, Method::GET, "/v1/devices/me", Some(&device.token), None).await;
    let handles = me.body["handles"].as_array().unwrap();
    for held in handles {
        has_exactly(held, HELD);
    }
    let handle = |held: &Value| held["handle"].as_str().unwrap().to_owned();
    handles.iter().map(handle).collect()
}

#[tokio::test]
async fn a_claim_sends_a_code_and_says_all_about_it() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    for (claimed, canonical, way) in [
        (json!({"handle": "+1 (415) 555-0123"}), "+14155550123", "sms"),
        (json!({"handle": "0151 23456789", "region": "DE"}), "+4915123456789", "sms"),
        (json!({"handle": "Ann+X@Example.COM"}), "ann+x@example.com", "email"),
        (json!({"handle": "x@Bücher.example"}), "x@xn--bcher-kva.example", "email"),
    ] {
        let sent = claim(&server, &ann, claimed).await;
        let body = sent.is(202, SENT);
        assert_eq!(body["handle"], canonical);
        assert_eq!((&body["sent_by"], &body["attempts_left"]), (&json!(way), &json!(5)));
        let line = server.outbox().pop().unwrap();
        has_exactly(&line, &["at", "to", "code", "verification", "purpose"]);
        assert_eq!((&line["to"], &line["purpose"]), (&json!(canonical), &json!("bind")));
        assert_eq!(line["verification"], body["verification"]);
        // The session begins shortly before the code is sent.
        let after = |name: &str| instant(&body[name]).since(instant(&line["at"])).as_secs_f64();
        assert!((590.0..=600.0).contains(&after("expires_at")), "{body}");
        assert!((20.0..=30.0).contains(&after("next_send_at")), "{body}");
        let code = line["code"].as_str().unwrap();
        assert!(!sent.text.contains(code), "the answer holds the code");
    }
}

#[tokio::test]
async fn what_is_no_handle_is_refused_by_its_reason() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    for (text, reason) in [
        ("", "empty"),
        ("+1415555", "too-short"),
        ("+1415555012345678", "too-long"),
        ("hello", "not-a-number"),
        ("+9991234567890", "unknown-country"),
        ("4155550123", "needs-region"),
        ("ann@", "not-an-address"),
        ("+14155550123;ext=22", "extension"),
    ] {
        let refused = claim(&server, &ann, json!({"handle": text})).await;
        assert_eq!(refused.refuses(400, "handle-invalid")["reason"], reason, "{text}");
        let path = "/v1/deregistrations";
        let body = Some(json!({"handle": text}));
        let refused = call(&server, Method::POST, path, None, body).await;
        assert_eq!(refused.refuses(400, "handle-invalid")["reason"], reason, "{text}");
    }
    let body = json!({"handle": "4155550123", "region": "Narnia"});
    let refused = claim(&server, &ann, body).await;
    assert_eq!(refused.refuses(400, "handle-invalid")["reason"], "unknown-country");
    let no_text = claim(&server, &ann, json!({"handle": 14_155_550_123_u64})).await;
    no_text.refuses(400, "request-invalid");
    assert!(!no_text.text.contains("4155550123"), "{no_text:?}");
}

#[tokio::test]
async fn a_claim_again_gives_the_open_verification_and_sends_nothing() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let claimed = json!({"handle": "+14155550123"});
    let first = claim(&server, &ann, claimed.clone()).await;
    let again = claim(&server, &ann, claimed).await;
    assert_eq!(again.is(202, SENT), first.is(202, SENT));
    assert_eq!(server.outbox().len(), 1);
    // Another device gets a session of its own.
    let ben = server.sign_up().await;
    let other = claim(&server, &ben, json!({"handle": "+14155550123"})).await;
    assert_ne!(other.is(202, SENT)["verification"], first.body["verification"]);
    assert_eq!(server.outbox().len(), 2);
}

#[tokio::test]
async fn nothing_is_sent_to_premium_satellite_and_international_numbers() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    for number in ["+19002345678", "+979123456789", "+881612345678", "+882161234567"] {
        let handle = json!({"handle": number});
        let refused = claim(&server, &ann, handle.clone()).await;
        refused.refuses(422, "delivery-refused");
        let path = "/v1/deregistrations";
        call(&server, Method::POST, path, None, Some(handle)).await.is(202, SENT);
    }
    assert!(server.outbox().is_empty());
}

#[tokio::test]
async fn a_handle_given_up_stays_so_until_it_is_proved_again() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "ann+news@example.com").await;
    let encoded = "ann%2Bnews%40example.com";
    give_up(&server, &ann, encoded).await.is(204, &[]);
    assert_eq!(server.route(&ben, "ann+news@example.com").await, "none");
    assert!(own_handles(&server, &ann).await.is_empty());

    let path = "/v1/devices/me/check-in";
    call(&server, Method::POST, path, Some(&ann.token), None).await;
    assert_eq!(server.route(&ben, "ann+news@example.com").await, "none");
    give_up(&server, &ann, encoded).await.refuses(404, "handle-not-bound");
    give_up(&server, &ben, encoded).await.refuses(404, "handle-not-bound");

    server.prove(&ann, "ann+news@example.com").await;
    assert_eq!(server.route(&ben, "ann+news@example.com").await, "imessage");
}

#[tokio::test]
async fn an_account_that_holds_the_proof_needs_no_second_code() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    let laptop = link(&server, &ann).await;
    give_up(&server, &laptop, "%2B14155550123").await.is(204, &[]);
    assert!(own_handles(&server, &laptop).await.is_empty());

    let sent_before = server.outbox().len();
    let held = claim(&server, &laptop, json!({"handle": "+1 415 555 0123"})).await;
    let body = held.is(200, &["handle", "proved_at"]);
    assert_eq!(body["handle"], "+14155550123");
    instant(&body["proved_at"]);
    assert_eq!(own_handles(&server, &laptop).await, ["+14155550123"]);
    assert_eq!(server.outbox().len(), sent_before);
}

#[tokio::test]
async fn a_hidden_spelling_does_not_hide_what_another_holds() {
    let server = Server::start().await;
    let (ann, eva, ben) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    // Eva holds the Argentine number without the 9. Ann hides the number with the 9, so Ben sees it as unregistered.
    server.prove(&eva, "+541123456789").await;
    assert_eq!(server.route(&ben, "+5491123456789").await, "imessage");
    server.prove(&ann, "+5491123456789").await;
    discoverable(&server, &ann, "%2B5491123456789", false).await.is(200, HELD);
    assert_eq!(server.route(&ben, "+5491123456789").await, "imessage");
    let (_, asked) = server.lookup(&ben, "+5491123456789").await;
    let (_, eva_s) = server.lookup(&ben, "+541123456789").await;
    assert_eq!(asked["subject"], eva_s["subject"]);
}

#[tokio::test]
async fn changing_what_is_not_there_or_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    for encoded in ["%2B14155550199", "nonsense", "4155550123", "%20"] {
        discoverable(&server, &ann, encoded, false).await.refuses(404, "handle-not-bound");
        give_up(&server, &ann, encoded).await.refuses(404, "handle-not-bound");
    }
    let path = "/v1/devices/me/handles/%2B14155550123";
    for body in [json!({}), json!({"discoverable": "no"}), json!({"discoverable": true, "x": 1})] {
        let reply = call(&server, Method::PATCH, path, Some(&ann.token), Some(body)).await;
        reply.refuses(400, "request-invalid");
    }
    for method in [Method::DELETE, Method::PATCH] {
        let path = "/v1/devices/me/handles/%FF%FE";
        let body = Some(json!({"discoverable": true}));
        let reply = call(&server, method, path, Some(&ann.token), body).await;
        reply.refuses(404, "handle-not-bound");
    }
}
