//! Answers on the wire. JSON is written by hand here: it is the one hot path, and a third of its cost was a serializer
//! that did not know the shape. A test holds it to the types that describe that shape, [`api::LookupAnswer`](crate::api::LookupAnswer) and
//! [`api::RefusedItem`](crate::api::RefusedItem).

use std::io::Write as _;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use bytes::BytesMut;

use crate::{
    dispatch::{Answer, together},
    handle::HandleError,
    http::problem::Code,
    quota::{Allowance, whole_seconds},
};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The limit of each day, as the headers name it.
const NEW_HANDLES: &str = "\"new-handles\"";
/// The limit of an address book.
const ADDRESS_BOOK: &str = "\"address-book\"";

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

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). Written by hand, as the JSON.
pub(super) fn limit_headers(headers: &mut HeaderMap, Allowance { daily, import }: Allowance) {
    let mut text = BytesMut::with_capacity(192);
    let limits = [(NEW_HANDLES, Some(daily)), (ADDRESS_BOOK, import)];
    let limits = || limits.into_iter().filter_map(|(name, left)| Some((name, left?)));
    for (place, (name, left)) in limits().enumerate() {
        put_item(&mut text, place, name);
        put_parameter(&mut text, b";q=", left.limit.into());
        put_parameter(&mut text, b";w=", left.window.as_secs());
    }
    put_header(headers, RATELIMIT_POLICY, text.split());
    for (place, (name, left)) in limits().enumerate() {
        put_item(&mut text, place, name);
        put_parameter(&mut text, b";r=", left.remaining.into());
        let reset = if left.reset.is_zero() { 0 } else { whole_seconds(left.reset) };
        put_parameter(&mut text, b";t=", reset);
    }
    put_header(headers, RATELIMIT, text);
}

fn put_header(headers: &mut HeaderMap, name: HeaderName, value: BytesMut) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.freeze()) {
        headers.insert(name, value);
    }
}

fn put_item(text: &mut BytesMut, place: usize, name: &str) {
    if place > 0 {
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(name.as_bytes());
}

fn put_parameter(text: &mut BytesMut, name: &[u8], mut number: u64) {
    let (mut digits, mut start) = ([b'0'; 20], 20);
    loop {
        start -= 1;
        // Below ten, so the cast is exact.
        digits[start] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(name);
    text.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{BatchItem, ItemError, LookupAnswer, RefusedItem},
        handle::Handle,
        quota::Left,
        vocabulary::Route,
    };

    fn left(limit: u32, remaining: u32, reset_ms: u64, window_secs: u64) -> Left {
        let (reset, window) = (Duration::from_millis(reset_ms), Duration::from_secs(window_secs));
        Left { limit, remaining, reset, window }
    }

    #[test]
    fn the_headers_name_each_limit_and_what_is_left_of_it() {
        let texts = |daily, import| {
            let mut headers = HeaderMap::new();
            limit_headers(&mut headers, Allowance { daily, import });
            ["ratelimit-policy", "ratelimit"].map(|name| headers[name].to_str().unwrap().to_owned())
        };
        let unproven = texts(left(100, 100, 0, 86_400), None);
        assert_eq!(unproven, ["\"new-handles\";q=100;w=86400", "\"new-handles\";r=100;t=0"]);
        let used_up = left(100, 0, 86_399_001, 86_400);
        let proven = texts(used_up, Some(left(4_000, 3_990, 12_960_000, 5_184_000)));
        assert_eq!(
            proven,
            [
                "\"new-handles\";q=100;w=86400, \"address-book\";q=4000;w=5184000",
                "\"new-handles\";r=0;t=86400, \"address-book\";r=3990;t=12960",
            ]
        );
        let most = texts(left(u32::MAX, u32::MAX, u64::MAX, u64::MAX), None);
        assert_eq!(most[0], "\"new-handles\";q=4294967295;w=18446744073709551615");
    }

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
