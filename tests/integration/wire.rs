//! Answers as a client receives them, with checks that apply to every answer.

use std::path::Path;

use dispatchd::{
    clock::{ManualClock, Timestamp},
    config::Config,
    server,
};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

use crate::harness::{Device, Server, send};

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Reply {
    /// Sends the request. Every answer must carry a request id.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let (status, headers, text) = send(request).await;
        let (status, text) = (status.as_u16(), String::from_utf8_lossy(&text).into_owned());
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let reply = Self { status, headers, text, body };
        let id = reply.header("x-request-id");
        assert!(id.starts_with("r_") && id.len() == 15, "{reply:?}");
        reply
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Asserts success with this status and exactly these fields. Returns the body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, fields: &[&str]) -> &Value {
        assert_eq!(self.status, status, "{self:?}");
        if status != 204 {
            assert_eq!(self.header("content-type"), "application/json");
            assert_eq!(fields_of(&self.body), sorted(fields), "{self:?}");
        }
        &self.body
    }

    /// Asserts a refusal with everything that RFC 9457 and the API promise. Returns the body.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) -> &Value {
        let body = &self.body;
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["type"], format!("urn:dispatchd:problem:{code}"));
        assert_eq!(body["status"], status);
        for field in ["title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        let later = status == 429 || status >= 500 && status != 501;
        assert_eq!(body["retry"] == "later", later, "{self:?}");
        assert_eq!(self.headers.contains_key("retry-after"), later, "{self:?}");
        if later {
            assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1, "{self:?}");
        } else {
            let retry = body["retry"].as_str().unwrap();
            assert!(["never", "after-fixing"].contains(&retry), "{self:?}");
        }
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "{self:?}");
        }
        body
    }

    /// The seconds of `Retry-After`.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").parse().unwrap()
    }
}

fn sorted(fields: &[&str]) -> Vec<String> {
    let mut fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
    fields.sort();
    fields
}

/// The names of an object's fields, sorted.
pub(crate) fn fields_of(object: &Value) -> Vec<String> {
    let mut names: Vec<_> = object
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {object}"))
        .keys()
        .cloned()
        .collect();
    names.sort();
    names
}

/// Asserts that an object has exactly these fields.
#[track_caller]
pub(crate) fn has_exactly(object: &Value, fields: &[&str]) {
    assert_eq!(fields_of(object), sorted(fields), "{object}");
}

/// Parses an RFC 3339 instant in UTC with microseconds.
#[track_caller]
pub(crate) fn instant(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("no instant: {value}"));
    assert!(text.ends_with('Z') && text.len() == 27, "{text}");
    text.parse().unwrap()
}

/// Sends a phone's call: method, path, token, body.
pub(crate) async fn call(
    server: &Server,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Reply {
    let mut request = server.phone(method, path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    Reply::to(request).await
}

/// The request with a body that is declared as JSON, whatever it is.
pub(crate) fn with_json(request: RequestBuilder, body: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header("content-type", "application/json").body(body)
}

/// Looks up a batch.
pub(crate) async fn batch(server: &Server, device: &Device, handles: &[&str]) -> Reply {
    let body = json!({"handles": handles});
    call(server, Method::POST, "/v1/lookup", Some(&device.token), Some(body)).await
}

/// Signs up a device with a link code.
pub(crate) async fn link(server: &Server, device: &Device) -> Device {
    let path = "/v1/devices/me/link-codes";
    let made = call(server, Method::POST, path, Some(&device.token), None).await;
    let code = made.is(201, &["link_code", "expires_at"])["link_code"].clone();
    let body = json!({"platform": "macos", "link_code": code});
    let joined = call(server, Method::POST, "/v1/devices", None, Some(body)).await;
    let text = |field: &str| joined.body[field].as_str().unwrap().to_owned();
    Device { device: text("device"), account: text("account"), token: text("token") }
}

/// Starts the server in this process on a manual clock.
pub(crate) async fn in_process(
    data: &Path,
    clock: &std::sync::Arc<ManualClock>,
) -> (server::Server, Config) {
    let mut config = Config::default();
    config.server.data = data.to_owned();
    config.server.threads = 1;
    config.server.phones.set_port(0);
    config.server.operators.set_port(0);
    config.quota.enabled = false;
    let clock = std::sync::Arc::clone(clock);
    let server = server::Server::start(&config, clock).await.unwrap();
    (server, config)
}
