//! Codes by text message, to a real HTTP server.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    PHONE, SECRET, assert_no_personal_data_printed, code_in,
    receiver::{Answer, Receiver, url_at},
    secret_file, sent, start, undelivered,
};
use crate::harness::{Server, own_port};

/// The longest that may be configured.
const TIMEOUT: Duration = Duration::from_secs(13);

/// A dispatchd that sends text messages to `url`, and waits as long as a busy machine may need.
async fn start_for(url: &str) -> (Server, tempfile::TempDir) {
    start_with_attempts_of("13s", url).await
}

async fn start_with_attempts_of(span: &str, url: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file(folder.path());
    let settings = [
        ("TEXT__URL", url),
        ("TEXT__SECRET_FILE", &secret),
        ("TEXT__SERVICE", "Blue"),
        ("TEXT__ATTEMPT_TIMEOUT", span),
        ("TEXT__TIMEOUT", "13s"),
    ];
    (start(&settings).await, folder)
}

#[tokio::test]
async fn a_text_message_is_signed_says_all_and_its_code_binds() {
    let gateway = Receiver::start(&[]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    let verification = sent(&server, &ann, PHONE).await;
    let received = gateway.received();
    assert_eq!(received.len(), 1);
    let (message, body) = (&received[0], received[0].json());
    assert!(message.is_signed_with(SECRET));
    assert_eq!(message.path, "/messages");
    assert_eq!(message.header("content-type"), "application/json");
    assert_eq!(body["id"], message.header("idempotency-key"));
    assert_eq!(
        (&body["to"], &body["purpose"], &body["verification"]),
        (&json!(PHONE), &json!("bind"), &json!(verification))
    );
    let text = body["text"].as_str().unwrap();
    let code = code_in(text);
    assert!(text.contains("Blue") && text.contains("10 minutes"), "{text}");
    let (status, answer) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.route(&ann, PHONE).await, "imessage");

    // The text section does not affect mail, which goes to the outbox.
    let verification = sent(&server, &ann, "ann@example.org").await;
    let (status, _) = server.confirm(&verification, &server.code_for(&verification)).await;
    assert_eq!(status, 200);

    // A deregistration sends another message with its own id.
    let body = json!({"handle": PHONE});
    let request = server.phone(reqwest::Method::POST, "/v1/deregistrations").json(&body);
    let (status, asked) = crate::harness::json_of(request).await;
    assert_eq!(status, 202);
    let last = gateway.received().pop().unwrap();
    assert_eq!(last.json()["purpose"], "deregister");
    assert_ne!(last.header("idempotency-key"), message.header("idempotency-key"));
    let code = code_in(last.json()["text"].as_str().unwrap());
    let (status, answer) = server.confirm(asked["verification"].as_str().unwrap(), &code).await;
    assert_eq!((status.as_u16(), &answer["deregistered"]), (200, &json!(true)));
    assert_eq!(server.route(&ann, PHONE).await, "sms");
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn retries_are_the_same_message_and_end_in_one_code() {
    let fails = || Answer::Status(500);
    let gateway = Receiver::start(&[fails(), fails()]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    let verification = sent(&server, &ann, PHONE).await;
    let received = gateway.received();
    assert_eq!(received.len(), 3);
    for message in &received {
        assert_eq!(message.header("idempotency-key"), received[0].header("idempotency-key"));
        assert_eq!(message.body, received[0].body);
        assert!(message.is_signed_with(SECRET));
    }
    let code = code_in(received[0].json()["text"].as_str().unwrap());
    let (status, _) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200);
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn a_refusal_is_final_counts_nothing_and_a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(&[]).await;
    let mut answers = vec![Answer::Status(400); 20];
    for status in [301, 302, 307, 308] {
        answers.push(Answer::With(status, "location", elsewhere.url()));
    }
    let asked = answers.len();
    let gateway = Receiver::start(&answers).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    // More than the daily limit for one handle. Codes that were not sent do not count.
    for _ in 0..asked {
        assert_eq!(undelivered(&server, &ann, PHONE).await, 5);
    }
    assert_eq!(gateway.received().len(), asked, "the server must not retry after a refusal");
    sent(&server, &ann, PHONE).await;
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn a_gateway_that_says_nothing_is_given_up_in_time_and_its_code_is_not_good() {
    let gateway = Receiver::start(&vec![Answer::Hang; 10]).await;
    let (server, _folder) = start_with_attempts_of("1s", &gateway.url()).await;
    let ann = server.sign_up().await;
    // It may have been sent: the pause of a code that was sent holds.
    let retry_after = undelivered(&server, &ann, PHONE).await;
    assert!((6..=30).contains(&retry_after), "{retry_after}");
    let received = gateway.received();
    assert_eq!(received.len(), 4);
    let body = received[0].json();
    let code = code_in(body["text"].as_str().unwrap());
    let (status, _) = server.confirm(body["verification"].as_str().unwrap(), &code).await;
    assert_eq!(status, 403, "an undelivered code must be invalid");
    let refused = super::claim(&server, &ann, PHONE).await;
    refused.refuses(429, "rate-limited");
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn a_wish_for_a_pause_is_granted_within_the_time() {
    let later = |secs: &str| Answer::With(429, "retry-after", secs.to_owned());
    let gateway = Receiver::start(&[later("2"), Answer::Status(200), later("60")]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    let started = Instant::now();
    sent(&server, &ann, PHONE).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    let ben = server.sign_up().await;
    let started = Instant::now();
    undelivered(&server, &ben, PHONE).await;
    assert!(started.elapsed() < TIMEOUT, "nobody waits in vain");
    assert_eq!(gateway.received().len(), 3);
}

#[tokio::test]
async fn after_an_outage_the_next_call_succeeds() {
    let address = SocketAddr::from(([127, 0, 0, 1], own_port()));
    let (server, _folder) = start_for(&url_at(address)).await;
    let ann = server.sign_up().await;
    assert_eq!(undelivered(&server, &ann, PHONE).await, 5);
    let gateway = Receiver::on(address, &[]).await;
    let verification = sent(&server, &ann, PHONE).await;
    let received = gateway.received();
    assert_eq!(received.len(), 1, "the server sent a message that it had given up");
    let code = code_in(received[0].json()["text"].as_str().unwrap());
    let (status, _) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200);
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn an_asker_that_goes_away_leaves_nothing_half_done() {
    let gateway = Receiver::start(&[Answer::Hang]).await;
    let (mut server, _folder) = start_with_attempts_of("3s", &gateway.url()).await;
    let ann = server.sign_up().await;
    let request = server.phone(reqwest::Method::POST, "/v1/devices/me/handles");
    let request = request.bearer_auth(&ann.token).json(&json!({"handle": PHONE}));
    // The asker goes away once the gateway has the message.
    tokio::select! {
        answer = request.send() => panic!("the gateway hangs, and yet {answer:?}"),
        () = gateway.has_received() => {}
    }
    // A stop waits for the delivery, whose second attempt succeeds.
    let stopped = server.stop().await;
    assert!(stopped.success(), "{}", server.output());
    let received = gateway.received();
    assert_eq!(received.len(), 2, "{}", server.output());
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let short = folder.path().join("short");
    std::fs::write(&short, "short").unwrap();
    for (path, part) in [(&missing, "cannot be read"), (&short, "16 bytes")] {
        let mut command = crate::harness::dispatchd();
        command
            .arg("serve")
            .env("DISPATCHD_SERVER__DATA", folder.path().join("data"))
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_OWNERSHIP__DELIVERY__TEXT__URL", "http://127.0.0.1:9/")
            .env("DISPATCHD_OWNERSHIP__DELIVERY__TEXT__SECRET_FILE", path);
        let output = crate::harness::run(&mut command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("ownership.delivery.text.secret_file: "), "{told}");
        assert!(told.contains(part), "{told}");
    }
}
