//! Refusals: RFC 9457 problem details, one closed set of codes.
//!
//! A code is stable and says by itself whether to try again: `never`, `later` (then `Retry-After` says when) or
//! `after-fixing`. No text here ever repeats what the client sent.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::quota::{Exceeded, whole_seconds};

macro_rules! problems {
    ($($(#[$doc:meta])* $case:ident = $status:ident $retry:ident $code:literal $title:literal,)*) => {
        /// What went wrong. Each case has one code, one status, one answer to "shall I try again?".
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $case,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$case,)*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$case => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$case => StatusCode::$status,)* }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$case => $title,)* }
            }

            /// Whether to try again.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$case => Retry::$retry,)* }
            }
        }
    };
}

/// Whether the same call can succeed another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// It cannot.
    Never,
    /// As it is, after `Retry-After`.
    Later,
    /// Once the request is changed.
    AfterFixing,
}

problems! {
    /// The request is malformed.
    RequestInvalid = BAD_REQUEST AfterFixing "request-invalid" "The request is malformed",
    /// The text is no handle; `reason` says why.
    HandleInvalid = BAD_REQUEST AfterFixing "handle-invalid" "This is not a phone number or e-mail address",
    /// No such device or operator token.
    TokenInvalid = UNAUTHORIZED AfterFixing "token-invalid" "The token is missing or not valid",
    /// The operator's role does not reach.
    RoleInsufficient = FORBIDDEN Never "role-insufficient" "The operator's role does not allow this",
    /// The link code is unknown, used or too old.
    LinkCodeInvalid = FORBIDDEN AfterFixing "link-code-invalid" "The link code is not valid",
    /// The code is not the one that was sent.
    CodeWrong = FORBIDDEN AfterFixing "code-wrong" "The code is wrong",
    /// No such path.
    NotFound = NOT_FOUND Never "not-found" "There is nothing at this path",
    /// The device does not back this handle.
    HandleNotBound = NOT_FOUND Never "handle-not-bound" "This device does not back the handle",
    /// No such verification, or it has ended.
    VerificationUnknown = NOT_FOUND Never "verification-unknown" "There is no such verification",
    /// No such method on this path.
    MethodNotAllowed = METHOD_NOT_ALLOWED Never "method-not-allowed" "The path does not take this method",
    /// The account has as many devices as it may have.
    TooManyDevices = CONFLICT AfterFixing "too-many-devices" "The account has as many devices as it may have",
    /// The account holds as many handles as it may hold.
    TooManyHandlesHeld = CONFLICT AfterFixing "too-many-handles-held" "The account holds as many handles as it may hold",
    /// The code came too late.
    CodeExpired = GONE Never "code-expired" "The code has expired",
    /// The body is longer than this call takes.
    BodyTooLarge = PAYLOAD_TOO_LARGE AfterFixing "body-too-large" "The body is too large",
    /// The upload is no staged file, or is damaged.
    ImportInvalid = UNPROCESSABLE_ENTITY AfterFixing "import-invalid" "This is not a staged import",
    /// The batch has too many handles.
    TooManyHandles = UNPROCESSABLE_ENTITY AfterFixing "too-many-handles" "The batch has too many handles",
    /// More requests than allowed.
    RateLimited = TOO_MANY_REQUESTS Later "rate-limited" "Too many requests",
    /// More new handles than allowed.
    LookupQuota = TOO_MANY_REQUESTS Later "lookup-quota" "Too many new handles",
    /// A defect of ours.
    Internal = INTERNAL_SERVER_ERROR Later "internal" "The service failed",
    /// The code could not be sent.
    DeliveryFailed = BAD_GATEWAY Later "delivery-failed" "The code could not be sent",
    /// The registry is being loaded.
    RegistryLoading = SERVICE_UNAVAILABLE Later "registry-loading" "The registry is being loaded",
    /// The registry's store cannot be written.
    RegistryUnwritable = SERVICE_UNAVAILABLE Later "registry-unwritable" "The registry cannot be written",
    /// The log cannot be written, so nothing can be answered.
    LogUnwritable = SERVICE_UNAVAILABLE Later "log-unwritable" "The query log cannot be written",
    /// Who reads cannot be noted, so nothing can be read.
    AuditUnwritable = SERVICE_UNAVAILABLE Later "audit-unwritable" "The audit log cannot be written",
    /// More is asked at once than the service takes on.
    Overloaded = SERVICE_UNAVAILABLE Later "overloaded" "The service is overloaded",
}

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
    code: &'a str,
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
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self { code, detail, retry_after: RETRY_AFTER_DEFAULT, fields: Map::new() }
    }

    /// `rate-limited`: which limit, what the call cost and when to come again.
    #[must_use]
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
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its body, as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("urn:dispatchd:problem:{}", self.code.code()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code.code(),
            retry: self.code.retry(),
            fields: &self.fields,
        };
        // Strings, numbers and a map with string keys: this cannot fail to serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        use crate::quota::Limit;
        let code = match exceeded.limit {
            Limit::NewHandles => Code::LookupQuota,
            Limit::Requests | Limit::SignUps | Limit::Changes => Code::RateLimited,
        };
        let detail = match exceeded.limit {
            Limit::NewHandles => {
                "wait as long as Retry-After says; a handle asked for before is free"
            }
            Limit::Requests | Limit::SignUps | Limit::Changes => "wait as long as Retry-After says",
        };
        Self::new(code, detail)
            .retry_after(exceeded.retry_after)
            .with("limit", exceeded.limit.name())
            .with("cost", exceeded.cost)
            .with("retry_after", whole_seconds(exceeded.retry_after))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.code.status();
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_problem_says_all_it_promises() {
        for &code in Code::ALL {
            let response = Problem::new(code, "do this").with("cost", 3).into_response();
            assert_eq!(response.status(), code.status());
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            let has_retry_after = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(has_retry_after, code.retry() == Retry::Later, "{}", code.code());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], format!("urn:dispatchd:problem:{}", code.code()));
            assert_eq!(body["status"], code.status().as_u16());
            assert_eq!(
                (&body["code"], &body["cost"]),
                (&Value::from(code.code()), &Value::from(3))
            );
            assert!(["never", "later", "after-fixing"].contains(&body["retry"].as_str().unwrap()));
        }
    }

    #[test]
    fn what_may_be_tried_later_is_429_or_5xx_and_nothing_else_is() {
        for &code in Code::ALL {
            let passing =
                code.status().is_server_error() || code.status() == StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(passing, code.retry() == Retry::Later, "{}", code.code());
        }
    }
}
