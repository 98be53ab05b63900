//! Proves that a stop keeps promise 1 and that no client can delay it. The server answers and records requests in
//! flight, accepts no new ones, and exits within its grace period. The exit code says how the stop went.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    connection::{Wire, request},
    harness::{Device, PATIENCE, Server, json_of},
};

/// The longest time that a stop without requests in flight may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A lookup in flight: the server has its head and half its body.
struct HalfAsked {
    wire: Wire,
    rest: Vec<u8>,
}

impl HalfAsked {
    fn begin(server: &Server, asker: &Device, handle: &str) -> Self {
        let mut wire = Wire::connect(&server.phones).unwrap();
        // The answer shows that the server has accepted the connection.
        let alive = wire.ask("GET", "/livez", "", &Value::Null).unwrap();
        assert_eq!(alive.status, 200);
        let body = json!({"handles": [handle]});
        let mut bytes = request("POST", "/v1/lookup", &asker.token, &body).into_bytes();
        let rest = bytes.split_off(bytes.len() - 5);
        wire.send(&bytes).unwrap();
        // The server has read the head by then. If not, the test still passes, but proves less.
        thread::sleep(Duration::from_millis(200));
        Self { wire, rest }
    }
}

async fn stopped_within(server: &mut Server, most: Duration) -> i32 {
    let asked = Instant::now();
    let status = server.wait().await;
    let took = asked.elapsed();
    assert!(took < most, "the stop took {took:?}:\n{}", server.output());
    status.code().expect("the server exits without a signal")
}

#[tokio::test]
async fn sigterm_answers_what_is_under_way_and_lets_nobody_in() {
    let mut server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let ann = server.sign_up().await;
    let mut under_way = HalfAsked::begin(&server, &ann, "+14155550123");
    server.signal("TERM");
    let refused = Instant::now();
    while Wire::connect(&server.phones).is_ok() || Wire::connect(&server.operators).is_ok() {
        assert!(refused.elapsed() < AT_ONCE, "the server still accepts connections");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(server.is_running());
    under_way.wire.send(&under_way.rest).unwrap();
    let reply = under_way.wire.reply().unwrap();
    assert_eq!((reply.status, reply.is_whole), (200, true), "{reply:?}");
    assert_eq!(stopped_within(&mut server, AT_ONCE).await, 0);
    assert!(!server.data.join("addresses.json").exists());

    server.spawn().await;
    let request = reply.header("x-request-id").unwrap();
    let records = server.records(&reader, "kind=lookup").await;
    let of_it: Vec<_> = records.iter().filter(|record| record["request"] == request).collect();
    assert_eq!(of_it.len(), 1, "{records:?}");
}

#[tokio::test]
async fn a_second_signal_stops_at_once_with_a_failure() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    for second in ["TERM", "INT"] {
        let _under_way = HalfAsked::begin(&server, &ann, "+14155550123");
        server.signal("TERM");
        thread::sleep(Duration::from_millis(300));
        assert!(server.is_running(), "the server did not wait for a request in flight");
        server.signal(second);
        assert_eq!(stopped_within(&mut server, Duration::from_secs(1)).await, 1);
        server.spawn().await;
    }
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_after_the_grace_period() {
    let mut server = Server::start_with(&[("SERVER__GRACE", "1s")]).await;
    let ann = server.sign_up().await;
    let _under_way = HalfAsked::begin(&server, &ann, "+14155550123");
    server.signal("TERM");
    let code = stopped_within(&mut server, Duration::from_secs(1) + AT_ONCE).await;
    assert_eq!(
        code,
        1,
        "the grace period cut a request off, so the code is 1:\n{}",
        server.output()
    );
    assert!(!server.data.join("addresses.json").exists());
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let mut server = Server::start().await;
    let mut idle: Vec<_> = (0..20).map(|_| Wire::connect(&server.phones).unwrap()).collect();
    idle.extend((0..5).map(|_| Wire::connect(&server.operators).unwrap()));
    // The server has served half of them. The others have sent nothing.
    for wire in idle.iter_mut().step_by(2) {
        assert_eq!(wire.ask("GET", "/livez", "", &Value::Null).unwrap().status, 200);
    }
    thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    assert_eq!(stopped_within(&mut server, AT_ONCE).await, 0);
}

#[tokio::test]
async fn an_open_tail_does_not_delay_a_stop() {
    let mut server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let mut tail = Wire::connect(&server.operators).unwrap();
    let request = request("GET", "/v1/log/tail", &reader, &Value::Null);
    tail.send(request.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(300));
    server.signal("TERM");
    assert_eq!(stopped_within(&mut server, AT_ONCE).await, 0);
    assert!(tail.drain().unwrap() > 0, "the tail sent nothing before the stop");
}

#[tokio::test]
async fn slow_readers_hold_a_stop_no_longer_than_the_grace_period() {
    let mut server = Server::start_with(&[("SERVER__GRACE", "1s")]).await;
    let reader = server.operator_token("reader", "reader");
    let ann = server.sign_up().await;
    let numbers: Vec<_> = (0..1000).map(|n| format!("+1415555{n:04}")).collect();
    let batch = json!({"handles": numbers});
    let mut phone = Wire::connect(&server.phones).unwrap();
    for _ in 0..60 {
        let reply = phone.ask("POST", "/v1/lookup", &ann.token, &batch).unwrap();
        assert_eq!(reply.status, 200);
    }
    // The client reads neither 15 MB of log nor the answers after it. They exceed the kernel's buffers.
    let mut export = Wire::connect(&server.operators).unwrap();
    let accept = "GET /v1/log HTTP/1.1\r\nhost: test\r\naccept: application/x-ndjson\r\n";
    let export_request = format!("{accept}authorization: Bearer {reader}\r\n\r\n");
    export.send(export_request.as_bytes()).unwrap();
    let ask = request("POST", "/v1/lookup", &ann.token, &batch).into_bytes();
    thread::spawn(move || while phone.send(&ask).is_ok() {});
    thread::sleep(Duration::from_millis(1500));
    server.signal("TERM");
    stopped_within(&mut server, Duration::from_secs(1) + AT_ONCE).await;
}

#[tokio::test]
async fn sighup_changes_nothing() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    for _ in 0..3 {
        server.signal("HUP");
        thread::sleep(Duration::from_millis(50));
        assert_eq!(server.route(&ann, "+14155550123").await, "sms");
    }
    assert!(server.is_running());
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn sigterm_during_the_start_is_not_missed() {
    let mut server = Server::start().await;
    assert!(server.stop().await.success());
    for delay_ms in [100, 200, 400] {
        server.launch();
        thread::sleep(Duration::from_millis(delay_ms));
        server.signal("TERM");
        assert_eq!(stopped_within(&mut server, PATIENCE).await, 0);
        assert!(!server.data.join("addresses.json").exists());
    }
}

#[tokio::test]
async fn a_restart_keeps_devices_handles_and_tokens() {
    let mut server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    let me = |device: &Device| {
        let request = server.phone(Method::GET, "/v1/devices/me");
        json_of(request.bearer_auth(&device.token))
    };
    let before = [me(&ann).await, me(&ben).await];
    assert_eq!(before[0].1["device"], ann.device);
    assert_eq!(before[0].1["account"], ann.account);
    assert_eq!(before[0].1["handles"].as_array().unwrap().len(), 2);
    assert!(server.stop().await.success());
    server.spawn().await;
    let me = |device: &Device| {
        let request = server.phone(Method::GET, "/v1/devices/me");
        json_of(request.bearer_auth(&device.token))
    };
    let mut after = [me(&ann).await, me(&ben).await];
    let mut before = before;
    for (_, body) in after.iter_mut().chain(&mut before) {
        // This field counts seconds, and the restart takes some.
        let left = body.as_object_mut().unwrap().remove("expires_in").unwrap();
        assert!(left.as_u64().unwrap() > 13 * 24 * 3600, "{left}");
    }
    assert_eq!(after, before);
    assert_eq!(server.route(&ben, "ann@example.com").await, "imessage");
}

/// Promise 3: while the server cannot know the answer, it never answers "no".
#[tokio::test]
async fn while_the_registry_loads_every_call_says_so() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    assert!(server.stop().await.success());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    server.set_env(&[("SERVER__PHONES", &free.to_string())]);
    server.launch();
    let launched = Instant::now();
    let mut wire = loop {
        assert!(launched.elapsed() < PATIENCE);
        if let Ok(wire) = Wire::connect(&free.to_string()) {
            break wire;
        }
    };
    let mut seen = 0;
    loop {
        let ready = wire.ask("GET", "/readyz", "", &Value::Null).unwrap();
        if ready.status == 200 {
            break;
        }
        assert_eq!((ready.status, &ready.body["missing"]), (503, &json!(["registry"])));
        let path = "/v1/lookup/%2B14155550123";
        let asked = wire.ask("GET", path, &ann.token, &Value::Null).unwrap();
        if asked.status == 200 {
            break;
        }
        let signed_up = json!({"platform": "ios"});
        let signed_up = wire.ask("POST", "/v1/devices", "", &signed_up).unwrap();
        for refused in [&ready, &asked] {
            assert_eq!(refused.body["code"], "registry-loading", "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
        assert!(signed_up.status == 503 || signed_up.status == 201, "{signed_up:?}");
        seen += 1;
    }
    println!("{seen} times told to wait");
    assert!(seen > 0, "the registry loaded before any request arrived");
    server.ready().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "imessage");
    let ready = json_of(server.phone(Method::GET, "/readyz")).await;
    assert_eq!(ready.0, StatusCode::OK);
}
