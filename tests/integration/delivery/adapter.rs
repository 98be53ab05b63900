//! Tests `config/text-gateway-adapter.py` between a real dispatchd and a simulated provider.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64;
use serde_json::json;

use super::{
    PHONE, SECRET, code_in,
    receiver::{Answer, Receiver, signature},
    secret_file, sent, start,
};
use crate::{harness::client, python::python};

struct Adapter {
    child: Child,
    url: String,
}

impl Adapter {
    fn start(folder: &Path, provider: &Receiver) -> Self {
        let token = folder.join("token");
        std::fs::write(&token, "token of the account\n").unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/config/text-gateway-adapter.py");
        let mut child = Command::new(python())
            .arg(script)
            .env("LISTEN", "127.0.0.1:0")
            .env("no_proxy", "*")
            .env("DISPATCHD_SECRET_FILE", secret_file(folder))
            .env("STORE", folder.join("sent.db"))
            .env("TWILIO_ACCOUNT_SID", "AC1")
            .env("TWILIO_AUTH_TOKEN_FILE", token)
            .env("TWILIO_FROM", "+15005550006")
            .env("TWILIO_URL", format!("http://{}", provider.address))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("it starts");
        let url = format!("http://{address}/");
        Self { child, url }
    }

    /// Posts a message as dispatchd does, signed with `secret` and a timestamp `age` seconds ago.
    async fn post(&self, id: &str, secret: &str, age: u64) -> u16 {
        let body = json!({"id": id, "to": PHONE, "text": "123456 is your code"}).to_string();
        let time = (now() - age).to_string();
        let signature = signature(secret, &time, body.as_bytes());
        let request = client()
            .build()
            .unwrap()
            .post(&self.url)
            .header("idempotency-key", id)
            .header("dispatchd-signature", format!("t={time},v1={signature}"))
            .body(body);
        request.send().await.unwrap().status().as_u16()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the adapter is another program, with the real time")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_code_gets_through_the_adapter_to_the_provider() {
    let provider = Receiver::start(&[Answer::Status(429), Answer::Status(201)]).await;
    let folder = tempfile::tempdir().unwrap();
    let adapter = Adapter::start(folder.path(), &provider);
    let secret = secret_file(folder.path());
    let server =
        start(&[("TEXT__URL", adapter.url.as_str()), ("TEXT__SECRET_FILE", &secret)]).await;
    let verification = sent(&server, &server.sign_up().await, PHONE).await;
    let received = provider.received();
    assert_eq!(received.len(), 2, "the adapter must retry after 429");
    let posted = &received[1];
    assert_eq!(posted.path, "/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(posted.header("content-type"), "application/x-www-form-urlencoded");
    let login = BASE64.encode(b"AC1:token of the account");
    assert_eq!(posted.header("authorization"), format!("Basic {login}"));
    let form = reqwest::Url::parse(&format!("http://form/?{}", text(&posted.body))).unwrap();
    let fields: Vec<_> = form.query_pairs().into_owned().collect();
    assert_eq!(fields[0], ("To".to_owned(), PHONE.to_owned()));
    assert_eq!(fields[1], ("From".to_owned(), "+15005550006".to_owned()));
    assert_eq!((fields.len(), fields[2].0.as_str()), (3, "Body"));
    let (status, _) = server.confirm(&verification, &code_in(&fields[2].1)).await;
    assert_eq!(status, 200);
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_adapter_believes_signatures_only_and_sends_once() {
    let answers = [201, 500, 400, 401].map(Answer::Status);
    let provider = Receiver::start(&answers).await;
    let folder = tempfile::tempdir().unwrap();
    let mut adapter = Adapter::start(folder.path(), &provider);
    assert_eq!(adapter.post("m_1", "another secret", 0).await, 401);
    assert_eq!(adapter.post("m_1", SECRET, 3_600).await, 401, "the adapter must refuse a replay");
    assert_eq!(provider.received().len(), 0);

    assert_eq!(adapter.post("m_1", SECRET, 0).await, 200);
    assert_eq!(adapter.post("m_1", SECRET, 0).await, 200);
    assert_eq!(provider.received().len(), 1, "one key, one message");
    // After a server error of the provider nobody knows whether the message was sent, so the adapter never retries.
    assert_eq!(adapter.post("m_2", SECRET, 0).await, 502);
    assert_eq!(adapter.post("m_2", SECRET, 0).await, 502);
    assert_eq!(provider.received().len(), 2);
    assert_eq!(adapter.post("m_3", SECRET, 0).await, 422);
    // A wrong token of the account is no refusal of the number.
    assert_eq!(adapter.post("m_5", SECRET, 0).await, 403);
    assert_eq!(provider.received().len(), 4);

    // The adapter remembers the keys after a restart.
    drop(adapter);
    adapter = Adapter::start(folder.path(), &provider);
    assert_eq!(adapter.post("m_1", SECRET, 0).await, 200);
    assert_eq!(adapter.post("m_2", SECRET, 0).await, 502);
    assert_eq!(provider.received().len(), 4);

    // While the adapter sends the first message, it refuses the second one with the same key.
    let slow = Receiver::start(&[Answer::Hang]).await;
    let adapter = Adapter::start(folder.path(), &slow);
    let first = adapter.post("m_4", SECRET, 0);
    let second = async {
        slow.has_received().await;
        adapter.post("m_4", SECRET, 0).await
    };
    tokio::select! {
        status = first => panic!("the provider hangs, but the adapter answered {status}"),
        status = second => assert_eq!(status, 503),
    }
    assert_eq!(slow.received().len(), 1);
}
