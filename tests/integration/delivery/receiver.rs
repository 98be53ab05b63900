//! An HTTP server that records requests and answers as planned.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode},
};
use data_encoding::HEXLOWER;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(u16),
    With(u16, &'static str, String),
    Hang,
}

/// A received request.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Clone, Default)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    /// Planned answers, used once each. Then the answer is 200.
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

pub(super) struct Receiver {
    shared: Shared,
    pub(super) address: SocketAddr,
}

/// Where the receiver at `address` is sent messages.
pub(super) fn url_at(address: SocketAddr) -> String {
    format!("http://{address}/messages")
}

impl Receiver {
    pub(super) async fn start(answers: &[Answer]) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), answers).await
    }

    pub(super) async fn on(address: SocketAddr, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::default();
        shared.answers.lock().unwrap().extend(answers.iter().cloned());
        let routes = Router::new().fallback(receive).with_state(shared.clone());
        let serving = async move { axum_serve(listener, routes).await };
        tokio::runtime::Handle::current().spawn(serving);
        Self { shared, address }
    }

    pub(super) fn url(&self) -> String {
        url_at(self.address)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until something was sent.
    pub(super) async fn has_received(&self) {
        self.has_received_number(1).await;
    }

    /// Waits until so many messages were sent.
    pub(super) async fn has_received_number(&self, count: usize) {
        while self.received().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn axum_serve(listener: TcpListener, routes: Router) {
    let listener = listener.into_std().unwrap();
    axum_server::from_tcp(listener).unwrap().serve(routes.into_make_service()).await.unwrap();
}

async fn receive(
    State(shared): State<Shared>,
    request: Request,
) -> (StatusCode, [(HeaderName, String); 1]) {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.path().to_owned();
    shared.received.lock().unwrap().push(Received { path, headers: head.headers, body });
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, name, value) = match answer.unwrap_or(Answer::Status(200)) {
        Answer::Status(status) => (status, "x-none", String::new()),
        Answer::With(status, name, value) => (status, name, value),
        Answer::Hang => std::future::pending().await,
    };
    (StatusCode::from_u16(status).unwrap(), [(HeaderName::from_static(name), value)])
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether the signature matches this body and this secret.
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        let header = self.header("dispatchd-signature");
        let (time, hex) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        signature(secret, time, &self.body) == hex
    }
}

/// The `v1` part of a signature.
pub(super) fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [time.as_bytes(), b".", body].concat();
    HEXLOWER.encode(hmac::sign(&key, &signed).as_ref())
}
