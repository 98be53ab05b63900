//! Proves that a stop keeps promise 1 and that no client can delay it. The server answers and records requests in
//! flight, accepts no new ones, and exits within its grace period. The exit code says how the stop went.

use std::{
    fs,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use dispatchd::operators::SOCKET_FILE_NAME;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    connection::{Wire, request},
    harness::{Device, PATIENCE, Server, json_of, own_port, wait_until},
};

/// What a stop that waits for nobody may take on a busy machine. It is less than the ten seconds after which the server
/// closes a silent connection anyway, and much less than [`LONG_GRACE`].
const AT_ONCE: Duration = Duration::from_secs(9);
const LONG_GRACE: (&str, &str) = ("SERVER__GRACE", "10m");

/// A lookup under way: the server reads its body, of which the end is missing.
struct HalfAsked {
    wire: Wire,
    rest: Vec<u8>,
}

impl HalfAsked {
    fn begin(server: &Server, asker: &Device, handle: &str) -> Self {
        let mut wire = Wire::connect(&server.phones).unwrap();
        let body = json!({"handles": [handle]});
        let request = request("POST", "/v1/lookup", &asker.token, &body);
        let mut bytes = request.replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1).into_bytes();
        let rest = bytes.split_off(bytes.len() - 5);
        wire.send(&bytes).unwrap();
        // The server says `100 Continue` once the handler asks for the body.
        assert_eq!(wire.reply().unwrap().status, 100);
        Self { wire, rest }
    }
}

fn accepts_nobody(server: &Server) {
    let is_closed = |url: &str| Wire::connect(url).is_err();
    wait_until("nobody is let in", || is_closed(&server.phones) && is_closed(&server.operators));
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
    let mut server = Server::start_with(&[LONG_GRACE]).await;
    let reader = server.operator_token("reader", "reader");
    let ann = server.sign_up().await;
    let mut under_way = HalfAsked::begin(&server, &ann, "+14155550123");
    server.signal("TERM");
    accepts_nobody(&server);
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
    let mut server = Server::start_with(&[LONG_GRACE]).await;
    let ann = server.sign_up().await;
    for second in ["TERM", "INT"] {
        let _under_way = HalfAsked::begin(&server, &ann, "+14155550123");
        server.signal("TERM");
        // It has heard the first signal by then: two that arrive at once count as one.
        accepts_nobody(&server);
        assert!(server.is_running(), "it waits for what is under way");
        server.signal(second);
        assert_eq!(stopped_within(&mut server, AT_ONCE).await, 1);
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
    let code = stopped_within(&mut server, PATIENCE).await;
    assert_eq!(code, 1, "somebody was cut off:\n{}", server.output());
    assert!(!server.data.join("addresses.json").exists());
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let mut server = Server::start_with(&[LONG_GRACE]).await;
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
    let mut server = Server::start_with(&[LONG_GRACE]).await;
    let reader = server.operator_token("reader", "reader");
    let mut tail = Wire::connect(&server.operators).unwrap();
    let request = request("GET", "/v1/log/tail", &reader, &Value::Null);
    tail.send(request.as_bytes()).unwrap();
    assert_eq!(tail.reply().unwrap().status, 200);
    server.signal("TERM");
    assert_eq!(stopped_within(&mut server, AT_ONCE).await, 0);
    tail.drain().unwrap();
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
    let accept = "GET /v1/log HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n";
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

/// Whether the process has a handler for SIGTERM, which is bit 14 of `SigCgt`.
fn catches_sigterm(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() >> 14 & 1 == 1)
}

#[tokio::test]
async fn sigterm_during_the_start_is_not_missed() {
    let mut server = Server::start().await;
    assert!(server.stop().await.success());
    for delay_ms in [0, 1, 10, 100, 300] {
        server.launch();
        let pid = server.pid();
        wait_until("SIGTERM is caught", || catches_sigterm(pid));
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

/// Starts the server and asks it until it is ready. How often it said that it was not.
pub(crate) fn asked_while_it_loads(server: &mut Server, address: &str, asker: &Device) -> u32 {
    server.launch();
    let mut wire = None;
    wait_until("it accepts", || {
        wire = Wire::connect(address).ok();
        wire.is_some()
    });
    let mut wire = wire.expect("it accepts");
    for refusals in 0.. {
        let ready = wire.ask("GET", "/readyz", "", &Value::Null).unwrap();
        if ready.status == 200 {
            return refusals;
        }
        assert_eq!((ready.status, &ready.body["missing"]), (503, &json!(["registry"])));
        let operators = UnixStream::connect(server.data.join(SOCKET_FILE_NAME));
        let path = "/v1/lookup/%2B14155550123";
        let asked = wire.ask("GET", path, &asker.token, &Value::Null).unwrap();
        if asked.status == 200 {
            return refusals;
        }
        assert!(operators.is_ok(), "no command can list the operators: {operators:?}");
        let signed_up = json!({"platform": "ios"});
        let signed_up = wire.ask("POST", "/v1/devices", "", &signed_up).unwrap();
        for refused in [&ready, &asked] {
            assert_eq!(refused.body["code"], "registry-loading", "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
        assert!(signed_up.status == 503 || signed_up.status == 201, "{signed_up:?}");
    }
    unreachable!("it is ready at last")
}

/// Promise 3: not yet able to tell is never "no".
#[tokio::test]
async fn while_the_registry_loads_every_call_says_so() {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    let address = format!("127.0.0.1:{}", own_port());
    server.set_env(&[("SERVER__PHONES", &address)]);
    // A start may be over before this process gets to ask.
    let mut starts = 0..20;
    let is_seen = starts.any(|_| {
        server.kill();
        asked_while_it_loads(&mut server, &address, &ann) > 0
    });
    assert!(is_seen, "no start was seen loading");
    server.ready().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "imessage");
    let ready = json_of(server.phone(Method::GET, "/readyz")).await;
    assert_eq!(ready.0, StatusCode::OK);
}
