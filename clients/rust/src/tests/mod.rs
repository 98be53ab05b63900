//! Tests with a server of their own and with virtual time.

mod cached;
mod described;
mod looked_up;
mod retried;
mod texts;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Error, NoAnswer, Patience, Phone, Server, Token,
    http::{Exchange, Outgoing, Reply, refusal},
};

pub(super) const TOKEN: &str = "dd_secret0123456789";

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

type Answering = dyn Fn(usize, &Value) -> Result<Reply, Error> + Send + Sync;

/// Answers each request with what a function makes of its number and its body, after a while.
pub(super) struct Fake {
    answering: Box<Answering>,
    takes: Duration,
    /// Method, path and body of each request, and when it came.
    sent: Mutex<Vec<(String, Value, Instant)>>,
}

impl Fake {
    pub(super) fn new(
        answering: impl Fn(usize, &Value) -> Result<Reply, Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::slow(Duration::ZERO, answering)
    }

    pub(super) fn slow(
        takes: Duration,
        answering: impl Fn(usize, &Value) -> Result<Reply, Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answering: Box::new(answering), takes, sent: Mutex::default() })
    }

    pub(super) fn sent(&self) -> Vec<(String, Value, Instant)> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) fn server(self: &Arc<Self>) -> Server {
        Server::over(Arc::<Self>::clone(self), Patience::default(), 100)
    }

    pub(super) fn phone(self: &Arc<Self>) -> Phone {
        self.server().phone(Token::new(TOKEN).unwrap())
    }
}

impl Exchange for Fake {
    fn send<'a>(&'a self, request: &'a Outgoing) -> BoxFuture<'a, Result<Reply, Error>> {
        let body = serde_json::from_slice(request.body.as_deref().unwrap_or(b"null")).unwrap();
        let path = format!("{} /{}", request.method, request.path.join("/"));
        let mut sent = self.sent.lock().unwrap();
        let answer = (self.answering)(sent.len(), &body);
        sent.push((path, body, Instant::now()));
        Box::pin(async {
            // Even an empty sleep takes until the next millisecond.
            if !self.takes.is_zero() {
                sleep(self.takes).await;
            }
            answer
        })
    }
}

pub(super) fn good(body: &Value) -> Result<Reply, Error> {
    Ok(Reply { status: 200, body: body.to_string().into_bytes() })
}

/// A refusal as the server sends it.
pub(super) fn refused(status: u16, code: &str, retry: &str, after: Option<u64>) -> Error {
    let mut problem = json!({"type": format!("urn:dispatchd:problem:{code}"), "title": "a title",
                             "status": status, "detail": "do this", "code": code, "retry": retry});
    if let Some(after) = after {
        problem["retry_after"] = after.into();
    }
    refusal(status, &HeaderMap::new(), problem.to_string().as_bytes())
}

/// A proxy's own page.
pub(super) fn foreign(status: u16, after: &'static str) -> Error {
    let mut headers = HeaderMap::new();
    if !after.is_empty() {
        headers.insert("retry-after", HeaderValue::from_static(after));
    }
    refusal(status, &headers, b"<html>")
}

pub(super) fn lost() -> Error {
    Error::NoAnswer(NoAnswer::Lost(Arc::new(std::fmt::Error)))
}

pub(super) fn not_sent() -> Error {
    Error::NoAnswer(NoAnswer::NotSent(Arc::new(std::fmt::Error)))
}

/// The answers to a batch: texts with an `x` are no handles, `+1…` is blue, other numbers green, addresses have no route. Blanks are
/// no part of the canonical form.
pub(super) fn answers(body: &Value, expires_in: u64) -> Value {
    let item = |input: &Value| {
        let text = input.as_str().unwrap();
        if text.contains('x') {
            let error = json!({"code": "handle-invalid", "reason": "not-a-number"});
            return json!({"input": text, "error": error});
        }
        let route = match text {
            _ if text.contains('@') => "none",
            _ if text.starts_with("+1") => "imessage",
            _ => "sms",
        };
        let handle = text.replace(' ', "");
        json!({"input": text, "handle": handle, "route": route, "expires_in": expires_in})
    };
    let items: Vec<_> = body["handles"].as_array().unwrap().iter().map(item).collect();
    // What the server says of the whole is not what counts for a part.
    json!({"answers": items, "together": "mixed"})
}
