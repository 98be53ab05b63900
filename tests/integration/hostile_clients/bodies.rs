//! Batches that do not arrive whole: their memory is bounded, and lookups go on.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{connect_from, resident_bytes};
use crate::{
    connection::Wire,
    harness::{Server, say, wait_until},
};

/// Together they send more than may wait.
const CLIENTS: u8 = 100;
const BODY_BYTES: usize = 512 * 1024;
/// The most memory of all together.
const GROWTH_MAX: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn long_bodies_that_do_not_end_have_a_bound_together() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let token = &ann.token;
    // Longer than a short body, which is not counted.
    let batch = json!({"handles": vec!["+1 (415) 555-0123"; 1_000]});
    let ask = || {
        let mut phone = Wire::connect(&server.phones).unwrap();
        phone.ask("POST", "/v1/lookup", token, &batch).unwrap()
    };
    let whole = ask();
    assert_eq!(whole.status, 200, "{whole:?}");
    let before = resident_bytes(&server);
    let head = format!(
        "POST /v1/lookup HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
    );
    let body = vec![b' '; BODY_BYTES - 1];
    let hold = |number| {
        let mut stream = connect_from(&server.phones, [2, 0, number]);
        // The server may refuse the body before it has come.
        _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        stream
    };
    let mut held = Vec::new();
    // On a busy machine the first bodies may be given up before the last ones have come.
    wait_until("a batch is refused", || {
        held = (1..=CLIENTS).map(hold).collect();
        let refused = ask();
        let is_refused = refused.status == 503;
        assert!(!is_refused || refused.body["code"] == "overloaded", "{refused:?}");
        is_refused
    });
    let growth = resident_bytes(&server).saturating_sub(before);
    say(&format!("{CLIENTS} bodies without an end hold {growth} bytes"));
    assert!(growth <= GROWTH_MAX, "{growth} bytes");
    let mut other = Wire::connect(&server.phones).unwrap();
    let single = other.ask("GET", "/v1/lookup/%2B14155550123", token, &Value::Null).unwrap();
    assert_eq!(single.status, 200);
    wait_until("the bodies are given up", || ask().status == 200);
    drop(held);
}
