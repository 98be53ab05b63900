//! Problems for what the HTTP library refuses by itself: a head that is malformed, too long, or has too many lines.
//!
//! hyper answers such a head with a status alone, and no hook changes its answer. An answer of the service always has a
//! request id, so hyper's are recognised as the bytes that are written.

use std::{sync::Arc, time::Instant};

use axum::response::IntoResponse as _;

use crate::{
    files::size::in_units,
    http::{
        answering::REQUEST_ID,
        calls::Call,
        problem::{Code, Problem},
        traffic::Traffic,
    },
    ids::RequestId,
    limits,
};

/// Bytes of the longest head that hyper makes by itself, and some more. A head of the service may be longer.
const HEAD_BYTES: usize = 160;
const END: &[u8] = b"\r\n\r\n";

/// Where hyper's own answer begins, if `written` ends with one, and the problem that it becomes. `is_line` says whether the
/// client sent a line that is longer than a whole head may be.
///
/// No body of the service ends so: JSON and CSV have no line break outside quotes that is followed by another.
pub(super) fn find(written: &[u8], is_line: bool) -> Option<(usize, Problem)> {
    if !written.ends_with(END) {
        return None;
    }
    let skipped = written.len().saturating_sub(HEAD_BYTES);
    let tail = &written[skipped..];
    let begin = tail.windows(7).rposition(|bytes| bytes == b"HTTP/1.")?;
    let head = str::from_utf8(&tail[begin..]).ok()?;
    if head.contains(REQUEST_ID.as_str()) {
        return None;
    }
    let longest = in_units(limits::HEAD_BYTES_MAX as u64);
    let problem = match head.get(9..12)? {
        "400" => Problem::new(
            Code::RequestInvalid,
            "the head is not one of HTTP/1.1: the request line, a header or the length of the body is malformed",
        ),
        "431" if !is_line => {
            let lines = limits::HEADERS_MAX;
            let detail = format!("the head must have at most {longest} and {lines} headers");
            Problem::new(Code::HeadTooLarge, detail)
        }
        "414" | "431" => {
            let detail = format!("the request line must have less than {longest}");
            Problem::new(Code::UriTooLong, detail)
        }
        _ => return None,
    };
    Some((skipped + begin, problem))
}

/// Counts the problem, and writes it in the place of hyper's head.
pub(super) fn answer(head: &[u8], problem: Problem, traffic: &Arc<Traffic>) -> Vec<u8> {
    let body = problem.to_json();
    let response = traffic.answered(Call::OTHER, Instant::now(), problem.into_response());
    let status = response.status();
    let mut text =
        format!("HTTP/1.1 {} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    // hyper writes the date, and closes the connection. It says so to HTTP/1.1 only.
    let head = String::from_utf8_lossy(head);
    if let Some(date) = head.lines().find(|line| line.starts_with("date: ")) {
        text += &format!("\r\n{date}");
    }
    for (name, value) in response.headers() {
        text += &format!("\r\n{name}: {}", value.to_str().unwrap_or_default());
    }
    let (length, id) = (body.len(), RequestId::next());
    text +=
        &format!("\r\nconnection: close\r\ncontent-length: {length}\r\n{REQUEST_ID}: {id}\r\n\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}
