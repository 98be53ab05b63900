//! Refusals: RFC 9457 problem details, one closed set of codes.
//!
//! A code is stable and says by itself whether to try again: `never`, `later` (then `Retry-After` says when) or
//! `after-fixing`. No text here ever repeats what the client sent.

use std::{borrow::Cow, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    quota::{Exceeded, Limit, whole_seconds},
    vocabulary::Retry,
};

pub use crate::vocabulary::ProblemCode as Code;

/// How long to wait when nothing better is known.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    retry_after: Duration,
    fields: Map<String, Value>,
}

/// The body of a refusal (RFC 9457), with the fields that some codes add.
#[derive(Serialize, ToSchema)]
pub struct ProblemBody<'a> {
    /// `urn:dispatchd:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:dispatchd:problem:handle-invalid")]
    kind: String,
    /// What the code means.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What to do about it.
    detail: &'a str,
    /// The stable code.
    code: Code,
    /// Whether to try again.
    retry: Retry,
    /// `reason` with `handle-invalid`; `attempts_left` with `code-wrong`; `limit`, `cost` and `retry_after` (seconds)
    /// with `lookup-quota` and `rate-limited`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    fields: &'a Map<String, Value>,
}

impl Problem {
    /// A refusal; `detail` says what to do and never what was sent.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { code, detail, retry_after: RETRY_AFTER_DEFAULT, fields: Map::new() }
    }

    /// `rate-limited`: which limit, what the call cost and when to come again.
    pub fn limited(limit: &str, detail: &'static str, retry_after: Duration) -> Self {
        Self::new(Code::RateLimited, detail)
            .retry_after(retry_after)
            .with("limit", limit)
            .with("cost", 1)
            .with("retry_after", whole_seconds(retry_after))
    }

    /// With a field of its own beside the standard ones.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// With a better idea of when to come again.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = span;
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its body, as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("urn:dispatchd:problem:{}", self.code),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code,
            retry: self.code.retry(),
            fields: &self.fields,
        };
        // Strings, numbers and a map with string keys: this cannot fail to serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let detail = match exceeded.limit {
            Limit::NewHandles => {
                "wait as long as Retry-After says; a handle asked for before is free"
            }
            Limit::NetworkLookups => {
                "too many are asked behind this address; wait as long as Retry-After says"
            }
            Limit::UnprovenLookups => "wait as long as Retry-After says, or prove a handle",
            _ => "wait as long as Retry-After says",
        };
        let limited = Self::limited(exceeded.limit.name(), detail, exceeded.retry_after);
        Self { code: exceeded.limit.problem(), ..limited }.with("cost", exceeded.cost)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        let status = StatusCode::from_u16(self.code.status());
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code.retry() == Retry::Later {
            headers.insert(header::RETRY_AFTER, whole_seconds(self.retry_after).into());
        }
        if self.code == Code::TokenInvalid {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Adds the answers `not-found` and `method-not-allowed` to `routes`.
pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let not_found = "GET /openapi.json on the operators' listener lists the paths";
    let method = "GET /openapi.json on the operators' listener lists the methods of this path";
    routes
        .fallback(move || async move { Problem::new(Code::NotFound, not_found).into_response() })
        .method_not_allowed_fallback(move || async move {
            Problem::new(Code::MethodNotAllowed, method).into_response()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_problem_says_all_it_promises() {
        for &code in Code::ALL {
            let response = Problem::new(code, "do this").with("cost", 3).into_response();
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            let has_retry_after = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(has_retry_after, code.retry() == Retry::Later, "{}", code.code());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], format!("urn:dispatchd:problem:{}", code.code()));
            assert_eq!(body["status"], code.status());
            assert_eq!(
                (&body["code"], &body["cost"]),
                (&Value::from(code.code()), &Value::from(3))
            );
            assert!(["never", "later", "after-fixing"].contains(&body["retry"].as_str().unwrap()));
        }
    }
}
