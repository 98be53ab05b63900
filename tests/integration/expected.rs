//! `Expect: 100-continue`: what the head shows is looked at before the body is asked for, and a refused body is not asked for.

use crate::{
    connection::{Reply, Wire},
    harness::Server,
};

/// The first answer to a head alone, and whether the connection then closes.
fn answer(url: &str, head: &str) -> (Reply, bool) {
    let mut wire = Wire::connect(url).unwrap();
    wire.send(format!("{head}host: localhost\r\nexpect: 100-continue\r\n\r\n").as_bytes()).unwrap();
    let reply = wire.reply().unwrap();
    let closes = reply.header("connection") == Some("close");
    if closes {
        assert_eq!(wire.drain().unwrap(), 0, "{reply:?}");
    }
    (reply, closes)
}

#[tokio::test]
async fn a_refused_body_is_not_asked_for() {
    let server = Server::start().await;
    let ann = server.sign_up().await.token;
    let admin = server.operator_token("admin", "admin");
    let json = "content-type: application/json\r\n";
    let (batch, sign_up) = ("POST /v1/lookup", "POST /v1/devices");
    let import = "POST /v1/registry/import";
    let cases = [
        (&server.phones, batch, "dd_none", json, 10_000_000, 401, "token-invalid"),
        (&server.phones, batch, "dd_none", json, 20, 401, "token-invalid"),
        (&server.phones, batch, &ann, json, 10_000_000, 413, "body-too-large"),
        (&server.phones, batch, &ann, json, 512 * 1024 + 1, 413, "body-too-large"),
        (&server.phones, batch, &ann, "", 20, 415, "content-type-unsupported"),
        (&server.phones, sign_up, "", json, 16 * 1024 + 1, 413, "body-too-large"),
        (&server.phones, sign_up, "", "", 20, 415, "content-type-unsupported"),
        (&server.phones, "POST /v1/devices/me/handles", "dd_none", json, 20, 401, "token-invalid"),
        (&server.phones, "POST /v1/nothing", "", json, 20, 404, "not-found"),
        (&server.operators, import, "do_none", "", 20, 401, "token-invalid"),
        (&server.operators, import, &admin, "", 9_u64 << 30, 413, "body-too-large"),
        (&server.operators, "POST /v1/log", &admin, "", 20, 405, "method-not-allowed"),
    ];
    for (url, call, token, lines, length, status, code) in cases {
        let head = format!(
            "{call} HTTP/1.1\r\nauthorization: Bearer {token}\r\n{lines}content-length: {length}\r\n"
        );
        let (reply, closes) = answer(url, &head);
        assert_eq!(reply.status, status, "{head}");
        assert_eq!(reply.text("code"), code, "{head}");
        assert!(closes, "{head}");
    }
}

#[tokio::test]
async fn a_body_that_can_be_taken_is_asked_for() {
    let server = Server::start().await;
    let ann = server.sign_up().await.token;
    let mut wire = Wire::connect(&server.phones).unwrap();
    let body = r#"{"handles":["+14155550123"]}"#;
    for _ in 0..2 {
        let head = format!(
            "POST /v1/lookup HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ann}\r\nexpect: 100-Continue\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        wire.send(head.as_bytes()).unwrap();
        assert_eq!(wire.reply().unwrap().status, 100);
        wire.send(body.as_bytes()).unwrap();
        let answer = wire.reply().unwrap();
        assert_eq!((answer.status, &answer.body["together"]), (200, &"sms".into()));
    }
}
