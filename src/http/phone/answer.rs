//! Answers on the wire. JSON is written by hand here: it is the one hot path, and a third of its cost was a serializer
//! that did not know the shape. A test holds it to the types that describe that shape, [`api::LookupAnswer`](crate::api::LookupAnswer) and
//! [`api::RefusedItem`](crate::api::RefusedItem).

use std::io::Write as _;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};

use crate::{
    dispatch::{Answer, together},
    handle::HandleError,
    http::problem::Code,
    quota::{Allowance, whole_seconds},
    vocabulary::QuotaLimit,
};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Seconds in the window of the new-handles limit.
const WINDOW_SECS: u32 = 24 * 3600;

pub(super) fn single(input: &str, answer: &Answer, allowance: Option<Allowance>) -> Response {
    let mut json = Vec::with_capacity(192);
    write_answer(&mut json, input, answer);
    respond(json, answer.expires_in.as_secs(), allowance)
}

pub(super) fn batch(
    inputs: &[impl AsRef<str>],
    answers: &[Result<Answer, HandleError>],
    allowance: Option<Allowance>,
) -> Response {
    let mut json = Vec::with_capacity(32 + answers.len() * 160);
    json.extend_from_slice(b"{\"answers\":[");
    for (index, (input, answer)) in inputs.iter().zip(answers).enumerate() {
        if index > 0 {
            json.push(b',');
        }
        match answer {
            Ok(answer) => write_answer(&mut json, input.as_ref(), answer),
            Err(error) => write_error(&mut json, input.as_ref(), *error),
        }
    }
    json.extend_from_slice(b"],\"together\":\"");
    let routes = answers.iter().map(|answer| answer.as_ref().ok().map(|answer| answer.route));
    json.extend_from_slice(together(routes).code().as_bytes());
    json.extend_from_slice(b"\"}");
    let reuse = answers.iter().flatten().map(|answer| answer.expires_in.as_secs()).min();
    respond(json, reuse.unwrap_or(0), allowance)
}

fn write_answer(json: &mut Vec<u8>, input: &str, answer: &Answer) {
    json.extend_from_slice(b"{\"input\":");
    write_text(json, input);
    json.extend_from_slice(b",\"handle\":\"");
    // Canonical text needs no escape.
    answer.handle.write_canonical(json);
    json.extend_from_slice(b"\",\"route\":\"");
    json.extend_from_slice(answer.route.code().as_bytes());
    if let Some(subject) = &answer.subject {
        json.extend_from_slice(b"\",\"subject\":\"");
        json.extend_from_slice(subject.as_str().as_bytes());
    }
    // Writing to a Vec cannot fail.
    let _ = write!(json, "\",\"expires_in\":{}}}", answer.expires_in.as_secs());
}

fn write_error(json: &mut Vec<u8>, input: &str, error: HandleError) {
    json.extend_from_slice(b"{\"input\":");
    write_text(json, input);
    let (code, reason) = (Code::HandleInvalid.code(), error.reason());
    let _ = write!(json, ",\"error\":{{\"code\":\"{code}\",\"reason\":\"{reason}\"}}}}");
}

/// A JSON string; almost always nothing in it needs an escape.
fn write_text(json: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        let _ = serde_json::to_writer(json, text);
    }
}

fn respond(json: Vec<u8>, reuse_secs: u64, allowance: Option<Allowance>) -> Response {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::try_from(format!("private, max-age={reuse_secs}")) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    if let Some(allowance) = allowance {
        limit_headers(headers, allowance);
    }
    response
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
fn limit_headers(headers: &mut axum::http::HeaderMap, allowance: Allowance) {
    let name = QuotaLimit::NewHandles.code();
    let policy = format!("\"{name}\";q={};w={WINDOW_SECS}", allowance.limit);
    let reset = if allowance.reset.is_zero() { 0 } else { whole_seconds(allowance.reset) };
    let left = format!("\"{name}\";r={};t={reset}", allowance.remaining);
    for (header, value) in [(RATELIMIT_POLICY, policy), (RATELIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{BatchItem, ItemError, LookupAnswer, RefusedItem},
        handle::Handle,
        vocabulary::Route,
    };

    proptest! {
        #[test]
        fn what_is_written_by_hand_is_what_is_described(input: String, secs in 0..100_000u64) {
            let answer = Answer {
                handle: Handle::from_canonical("ann@example.com").unwrap(),
                route: Route::Sms,
                subject: None,
                expires_in: Duration::from_secs(secs),
            };
            let mut json = Vec::new();
            write_answer(&mut json, &input, &answer);
            let described = LookupAnswer {
                input: input.clone(),
                handle: "ann@example.com".to_owned(),
                route: Route::Sms,
                subject: None,
                expires_in: secs,
            };
            prop_assert_eq!(serde_json::from_slice::<LookupAnswer>(&json).unwrap(), described.clone());
            let item = BatchItem::Answer(described);
            prop_assert_eq!(serde_json::from_slice::<BatchItem>(&json).unwrap(), item);

            json.clear();
            write_error(&mut json, &input, HandleError::TooShort);
            let error = ItemError { code: Code::HandleInvalid, reason: HandleError::TooShort };
            let item = BatchItem::Refused(RefusedItem { input, error });
            prop_assert_eq!(serde_json::from_slice::<BatchItem>(&json).unwrap(), item);
        }
    }
}
