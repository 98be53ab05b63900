//! Codes by text message, to a real HTTP server.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use dispatchd::limits;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::json;

use super::{
    PHONE, SECRET,
    adapter::now,
    assert_no_personal_data_printed, assert_paused_once, claim, code_in,
    receiver::{Answer, Receiver, url_at},
    refused, secret_file, sent, sent_in_time, start, undelivered,
};
use crate::{
    harness::{Server, own_port},
    wire::{Reply, call, fields_of},
};

/// The longest that may be configured.
const TIMEOUT: Duration = Duration::from_secs(13);

/// One of many phone numbers.
fn phone(number: usize) -> String {
    format!("+1408555{}", 1000 + number)
}

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
    // The answer does not wait for the message.
    gateway.has_received_number(2).await;
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
async fn a_refusal_is_final_and_keeps_nobody_else_from_a_code() {
    let elsewhere = Receiver::start(&[]).await;
    // More than the failures that begin a pause.
    let mut answers = [400, 410, 422, 451, 400, 422, 400, 400].map(Answer::Status).to_vec();
    let refusals = answers.len();
    for status in [301, 302, 307, 308] {
        answers.push(Answer::With(status, "location", elsewhere.url()));
    }
    let gateway = Receiver::start(&answers).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    for number in 0..refusals {
        refused(&server, &ann, &phone(number)).await;
    }
    for number in refusals..answers.len() {
        assert_eq!(undelivered(&server, &ann, &phone(number)).await, 5);
    }
    assert_eq!(gateway.received().len(), answers.len(), "the server must not retry");
    sent(&server, &server.sign_up().await, PHONE).await;
    assert_eq!(elsewhere.received().len(), 0);
    assert!(!server.output().contains("no code is sent for now"), "{}", server.output());
}

#[tokio::test]
async fn a_gateway_that_refuses_lifts_no_limit() {
    let gateway = Receiver::start(&vec![Answer::Status(400); 50]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    for _ in 0..limits::CODES_PER_PERSON_UNPROVEN {
        refused(&server, &server.sign_up().await, PHONE).await;
    }
    for _ in 0..6 {
        let beyond = claim(&server, &server.sign_up().await, PHONE).await;
        assert_eq!(beyond.refuses(429, "rate-limited")["limit"], "codes-per-handle");
    }
    assert_eq!(gateway.received().len(), limits::CODES_PER_PERSON_UNPROVEN);
}

/// Asks for a code without a token.
async fn deregister(server: &Server, handle: &str) -> Reply {
    let body = Some(json!({"handle": handle}));
    call(server, Method::POST, "/v1/deregistrations", None, body).await
}

#[tokio::test]
async fn strangers_do_not_learn_what_the_gateway_answered() {
    let answers = [200, 400, 404, 500, 500, 500, 500].map(Answer::Status);
    let gateway = Receiver::start(&answers).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let mut replies = Vec::new();
    // Taken, refused, not found, and failed four times.
    for (number, posts) in [1, 2, 3, 7].into_iter().enumerate() {
        let reply = deregister(&server, &phone(number)).await;
        let names: Vec<_> = reply.headers.keys().map(|name| name.as_str().to_owned()).collect();
        replies.push((reply.status, fields_of(&reply.body), names));
        gateway.has_received_number(posts).await;
    }
    assert_eq!(replies[0].0, 202);
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
}

#[tokio::test]
async fn a_slow_gateway_leaves_deliveries_to_known_askers() {
    let of_strangers = limits::DELIVERIES_MAX / 2;
    let gateway = Receiver::start(&vec![Answer::Hang; of_strangers]).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file(folder.path());
    // Without messages at TRACE: the flood must begin before the first deliveries are given up.
    let server = Server::start_with(&[
        ("OWNERSHIP__DELIVERY__TEXT__URL", &gateway.url()),
        ("OWNERSHIP__DELIVERY__TEXT__SECRET_FILE", &secret),
        ("OWNERSHIP__DELIVERY__TEXT__ATTEMPT_TIMEOUT", "13s"),
        ("OWNERSHIP__DELIVERY__TEXT__TIMEOUT", "13s"),
    ])
    .await;
    let ann = server.sign_up().await;
    server.prove(&ann, "ann@example.org").await;
    let ask = |number| {
        let server = &server;
        async move { deregister(server, &phone(number)).await.status }
    };
    let flood = stream::iter(0..limits::DELIVERIES_MAX + 50).map(ask).buffer_unordered(32);
    let statuses: Vec<_> = flood.collect().await;
    let overloaded = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(overloaded, statuses.len() - of_strangers);
    gateway.has_received_number(of_strangers).await;
    sent(&server, &ann, PHONE).await;
}

#[tokio::test]
async fn a_wrong_secret_is_no_refusal_and_is_not_tried_for_every_code() {
    let gateway = Receiver::start(&vec![Answer::Status(401); 50]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    for number in 0..12 {
        undelivered(&server, &ann, &phone(number)).await;
    }
    let posts = gateway.received().len();
    // Five failures in a row, and perhaps a probe or two on a slow machine.
    assert!((5..=7).contains(&posts), "{posts} posts: {}", server.output());
    assert_no_personal_data_printed(&server, &[]);
}

#[tokio::test]
async fn strangers_with_numbers_that_are_not_found_keep_nobody_from_a_code() {
    let mut answers = vec![Answer::Status(200)];
    answers.extend((0..12).map(|number| Answer::Status([403, 404][number % 2])));
    let gateway = Receiver::start(&answers).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    sent(&server, &ann, PHONE).await;
    for number in 0..12 {
        refused(&server, &ann, &phone(number)).await;
    }
    sent(&server, &server.sign_up().await, &phone(12)).await;
    assert_eq!(gateway.received().len(), answers.len() + 1);
    assert!(!server.output().contains("no code is sent for now"), "{}", server.output());
}

#[tokio::test]
async fn a_short_wish_holds_back_every_message() {
    let later = Answer::With(503, "retry-after", "3".to_owned());
    let gateway = Receiver::start(&[later]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    let asked = async {
        gateway.has_received().await;
        while !server.output().contains("no code is sent for now") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!((1..=3).contains(&undelivered(&server, &ben, &phone(0)).await));
        assert_eq!(gateway.received().len(), 1, "a message was posted in the pause");
    };
    tokio::join!(sent(&server, &ann, PHONE), asked);
    assert_eq!(gateway.received().len(), 2);
}

#[tokio::test]
async fn a_gateway_that_fails_is_left_alone_and_found_again() {
    let gateway = Receiver::start(&vec![Answer::Status(500); 5]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    for number in 0..2 {
        undelivered(&server, &ann, &phone(number)).await;
    }
    assert_eq!(gateway.received().len(), 5, "four attempts, and one: {}", server.output());
    sent_in_time(&server, &server.sign_up().await, |number| phone(2 + number)).await;
    assert_eq!(gateway.received().len(), 6);
    assert_paused_once(&server);
    assert_no_personal_data_printed(&server, &[]);
}

#[tokio::test]
async fn a_slow_gateway_is_given_up_and_left_alone() {
    let gateway = Receiver::start(&vec![Answer::Hang; 50]).await;
    let (server, _folder) = start_with_attempts_of("700ms", &gateway.url()).await;
    let claims = (0..12).map(|number| {
        let server = &server;
        async move { undelivered(server, &server.sign_up().await, &phone(number)).await }
    });
    let started = Instant::now();
    futures_util::future::join_all(claims).await;
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
    // Twelve first attempts, and none after the fifth of them failed. A probe may have begun.
    let posts = gateway.received().len();
    assert!((12..=14).contains(&posts), "{posts} posts: {}", server.output());
    assert!(server.output().contains("no code is sent for now"), "{}", server.output());
}

#[tokio::test]
async fn a_gateway_that_says_nothing_is_given_up_in_time_and_its_code_is_good() {
    let gateway = Receiver::start(&vec![Answer::Hang; 10]).await;
    let (server, _folder) = start_with_attempts_of("1s", &gateway.url()).await;
    let ann = server.sign_up().await;
    assert_eq!(undelivered(&server, &ann, PHONE).await, 5);
    let received = gateway.received();
    assert_eq!(received.len(), 4);
    let body = received[0].json();
    let code = code_in(body["text"].as_str().unwrap());
    // It may have been sent. Asking again gives the verification that it belongs to.
    let verification = sent(&server, &ann, PHONE).await;
    assert_eq!(body["verification"], json!(verification));
    assert_eq!(gateway.received().len(), 4);
    let (status, _) = server.confirm(&verification, &code).await;
    assert_eq!(status, 200);
    assert_no_personal_data_printed(&server, &[code]);
}

#[tokio::test]
async fn a_wish_for_a_pause_is_granted_within_the_time_and_by_the_next_delivery() {
    let later = |status, secs: &str| Answer::With(status, "retry-after", secs.to_owned());
    let answers = [later(429, "2"), Answer::Status(200), later(503, "60")];
    let gateway = Receiver::start(&answers).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    let started = Instant::now();
    sent(&server, &ann, PHONE).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    let ben = server.sign_up().await;
    let started = Instant::now();
    assert_eq!(undelivered(&server, &ben, &phone(0)).await, 60, "as the gateway asked");
    assert!(started.elapsed() < TIMEOUT, "nobody waits in vain");
    let retry_after = undelivered(&server, &ben, &phone(1)).await;
    assert!((30..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(gateway.received().len(), 3);
}

#[tokio::test]
async fn a_wish_about_one_number_keeps_nobody_else_from_a_code() {
    let later = Answer::With(429, "retry-after", "600".to_owned());
    let gateway = Receiver::start(&[Answer::Status(200), later]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    sent(&server, &ann, PHONE).await;
    assert_eq!(undelivered(&server, &ben, &phone(0)).await, 600);
    sent(&server, &ben, &phone(1)).await;
    assert!(!server.output().contains("no code is sent for now"), "{}", server.output());
}

#[tokio::test]
async fn a_wish_may_be_a_date() {
    let date = chrono::DateTime::from_timestamp(i64::try_from(now()).unwrap() + 3, 0).unwrap();
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let gateway = Receiver::start(&[Answer::With(503, "retry-after", date)]).await;
    let (server, _folder) = start_for(&gateway.url()).await;
    let ann = server.sign_up().await;
    let started = Instant::now();
    sent(&server, &ann, PHONE).await;
    // A date has whole seconds, and the server took a moment to start.
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert_eq!(gateway.received().len(), 2);
}

#[tokio::test]
async fn after_an_outage_the_next_call_succeeds() {
    let address = SocketAddr::from(([127, 0, 0, 1], own_port()));
    let (server, _folder) = start_for(&url_at(address)).await;
    let ann = server.sign_up().await;
    assert_eq!(undelivered(&server, &ann, PHONE).await, 5);
    let gateway = Receiver::on(address, &[]).await;
    let verification = sent(&server, &ann, &phone(0)).await;
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
