//! Request bodies: bounded in size and time. No error quotes them.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};
use crate::limits;

/// A JSON body of at most [`limits::SMALL_BODY_BYTES_MAX`] bytes, parsed as `T`. A rejection names line and column. It does
/// not contain serde's message, which quotes values, since these are handles and codes.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = read(request.into_body(), limits::SMALL_BODY_BYTES_MAX).await?;
        parse(&body).map(Self)
    }
}

/// Reads a whole body.
///
/// # Errors
/// `body-too-large` beyond `bytes_max`; `request-invalid` if the connection breaks off or the body takes longer than
/// [`limits::REQUEST_TIMEOUT`].
pub async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let reading = collect(body, bytes_max);
    let Ok(read) = tokio::time::timeout(limits::REQUEST_TIMEOUT, reading).await else {
        return Err(Problem::new(Code::RequestInvalid, "the body took too long to arrive"));
    };
    read
}

/// Reads and discards the body of a refused request, up to [`limits::BODY_DROPPED_BYTES_MAX`]. A client that still sends
/// when the connection closes would not receive the refusal.
pub async fn discard(body: Body) {
    // The body is refused already, so its errors do not matter.
    let _ = read(body, 0).await;
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let (mut whole, mut dropped) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::RequestInvalid, "the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if dropped == 0 && whole.len() + data.len() <= bytes_max {
            whole.extend_from_slice(&data);
            continue;
        }
        dropped += data.len();
        if dropped > limits::BODY_DROPPED_BYTES_MAX {
            break;
        }
    }
    if dropped > 0 {
        let detail = format!("the body must have at most {bytes_max} bytes");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(whole.into())
}

/// Parses JSON as `T`.
///
/// # Errors
/// `request-invalid` with the line and column of the error.
pub fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    // A derived `Deserialize` accepts an array for an object, with the fields by position.
    if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        let detail = "the JSON must be an object with the fields of this call (line 1, column 1)";
        return Err(Problem::new(Code::RequestInvalid, detail));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => {
                "the JSON must have the fields and types of this call"
            }
            serde_json::error::Category::Eof => "the JSON ends too early",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "the body is not JSON"
            }
        };
        let (line, column) = (error.line(), error.column());
        Problem::new(Code::RequestInvalid, format!("{what} (line {line}, column {column})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_malformed_body_has_its_position_and_no_quote() {
        let planted = r#"{"handle": {"x": "+14155550123"}}"#;
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "only the type of the field matters")]
            handle: String,
        }
        for body in [planted, "{\"handle\": \"+14155550123", "+14155550123"] {
            let problem = parse::<Wanted>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, Code::RequestInvalid);
            assert!(!format!("{problem:?}").contains("4155550123"));
            assert!(format!("{problem:?}").contains("line 1"));
        }
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let problem = read(Body::from(vec![b'x'; 11]), 10).await.unwrap_err();
        assert_eq!(problem.code, Code::BodyTooLarge);
        assert_eq!(read(Body::from("0123456789"), 10).await.unwrap(), "0123456789");
    }
}
