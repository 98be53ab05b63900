//! Request bodies: bounded in size and time, and declared as what they are.
//!
//! A client that sends `Expect: 100-continue` waits for an answer to its head (RFC 9110 section 10.1.1). The first read of the
//! body sends `100 Continue`. So whatever the head shows is looked at first, and a refused body is then not read.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{
    problem::{Code, Problem},
    waiting_bodies::Held,
};
use crate::{
    api::{self, Invalid},
    files::size::in_units,
    limits,
};

/// A JSON body of at most [`limits::SMALL_BODY_BYTES_MAX`] bytes, as `T`.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + ToSchema, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let body = read_json_text(&head.headers, body, limits::SMALL_BODY_BYTES_MAX).await?;
        Ok(Self(api::read_json(&body)?))
    }
}

/// Reads a whole body that is declared as JSON.
///
/// # Errors
/// Those of [`read`], and `content-type-unsupported`.
pub async fn read_json_text(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let checked = check_json(headers).and_then(|()| check_length(&body, bytes_max as u64));
    if let Err(problem) = checked {
        discard(headers, body).await;
        return Err(problem);
    }
    read(body, bytes_max).await
}

/// Checks the length that the head declares, if it does.
///
/// # Errors
/// `body-too-large`.
pub fn check_length(body: &Body, bytes_max: u64) -> Result<(), Problem> {
    if body.size_hint().lower() <= bytes_max { Ok(()) } else { Err(too_large(bytes_max)) }
}

fn too_large(bytes_max: u64) -> Problem {
    let detail = format!("the body must have at most {}", in_units(bytes_max));
    Problem::new(Code::BodyTooLarge, detail)
}

const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// Checks that the headers declare JSON without compression. A browser sends no such body to a foreign site before it has
/// asked, which no listener allows.
fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is = |value: &HeaderValue, wanted: &str| {
        let text = value.to_str().unwrap_or_default();
        text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
    };
    let kind = headers.get(header::CONTENT_TYPE);
    let detail = if headers.get_all(header::CONTENT_ENCODING).iter().any(|it| !is(it, "identity")) {
        "the body is compressed; send it without `Content-Encoding`"
    } else if kind.is_some_and(|kind| is(kind, "application/json")) {
        return Ok(());
    } else if kind.is_some_and(|kind| FORMS.iter().any(|form| is(kind, form))) {
        "the body is declared as a form, which `curl -d` and `-F` do; send JSON with `Content-Type: application/json`, as \
         `curl --json` does"
    } else {
        "send JSON with `Content-Type: application/json`, as `curl --json` does"
    };
    Err(Problem::new(Code::ContentTypeUnsupported, detail))
}

/// Reads a whole body.
///
/// # Errors
/// `body-too-large` beyond `bytes_max`; `request-invalid` if the connection breaks off or the body takes longer than
/// [`limits::REQUEST_TIMEOUT`]; `overloaded` if too many long bodies arrive at once.
async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let reading = collect(body, bytes_max);
    let Ok(read) = tokio::time::timeout(limits::REQUEST_TIMEOUT, reading).await else {
        return Err(Problem::new(Code::RequestInvalid, "the body took too long to arrive"));
    };
    read
}

/// Reads and discards the body of a refused request, up to [`limits::BODY_DROPPED_BYTES_MAX`]. A client that still sends
/// when the connection closes would not receive the refusal. One that waits for the answer has sent nothing, and its body is
/// not asked for; the connection then closes.
pub async fn discard(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(header::EXPECT) {
        // The body is refused already, so its errors do not matter.
        let _ = read(body, 0).await;
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let (mut whole, mut dropped) = (Vec::new(), 0);
    let mut held = Held::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::RequestInvalid, "the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if dropped == 0 && whole.len() + data.len() <= bytes_max {
            let needs = whole.len() + data.len();
            if needs > whole.capacity() {
                // What is allocated counts, not what has come.
                let capacity = needs.max((2 * whole.capacity()).min(bytes_max));
                held.grow_to(capacity)?;
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(&data);
            continue;
        }
        dropped += data.len();
        if dropped > limits::BODY_DROPPED_BYTES_MAX {
            break;
        }
    }
    if dropped > 0 { Err(too_large(bytes_max as u64)) } else { Ok(whole.into()) }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        match invalid.handle {
            Some(error) => Self::handle(error, invalid.to_string()),
            None => Self::new(Code::RequestInvalid, invalid.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_declared_as_plain_json_is_read() {
        let check = |kind: Option<&'static str>, encoding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in
                [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)]
            {
                headers.extend(value.map(|value| (name, HeaderValue::from_static(value))));
            }
            check_json(&headers).map_err(|problem| (problem.code, problem.detail))
        };
        for kind in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            " application/json ",
        ] {
            assert_eq!(check(Some(kind), None), Ok(()), "{kind}");
            assert_eq!(check(Some(kind), Some("Identity")), Ok(()), "{kind}");
            for encoding in ["gzip", "br", "identity, gzip", "", "x"] {
                let (code, detail) = check(Some(kind), Some(encoding)).unwrap_err();
                assert_eq!(code, Code::ContentTypeUnsupported);
                assert!(detail.contains("compressed"), "{encoding}: {detail}");
            }
        }
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some("text/json"),
            Some("application/jsonx"),
            Some("application/problem+json"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
        ] {
            let (code, detail) = check(kind, None).unwrap_err();
            assert_eq!(code, Code::ContentTypeUnsupported);
            assert!(detail.contains("curl --json"), "{kind:?}: {detail}");
            let is_form = kind.is_some_and(|kind| kind.contains("form"));
            assert_eq!(detail.contains("a form"), is_form, "{kind:?}: {detail}");
        }
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let problem = read(Body::from(vec![b'x'; 11]), 10).await.unwrap_err();
        assert_eq!(problem.code, Code::BodyTooLarge);
        assert_eq!(read(Body::from("0123456789"), 10).await.unwrap(), "0123456789");
    }
}
