//! Answers of any length, line by line, each line counted when it is given; whole or broken off, never half and well ended.
//!
//! Behind the last line come trailers (RFC 9110 section 6.5, to clients that send `TE: trailers`): how many there were and
//! what could not be read, which nobody knows before. A client without them still sees every cut: the last chunk of the
//! chunked body is missing (RFC 9112 section 8).

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
    thread,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    audit::{Audited, Listed},
    background, limits,
    query_log::{LogRow, SearchOutcome},
};

/// Bytes of lines that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the reading waits.
const CHUNKS_AHEAD: usize = 4;
/// What is sent, as `Accept` names it.
pub(super) const NDJSON: &str = "application/x-ndjson";

const RECORDS: HeaderName = HeaderName::from_static("dispatchd-records");
const DAMAGED: HeaderName = HeaderName::from_static("dispatchd-damaged");
const UNREADABLE_SEGMENTS: HeaderName = HeaderName::from_static("dispatchd-unreadable-segments");
const TRAILERS: HeaderValue =
    HeaderValue::from_static("dispatchd-records, dispatchd-damaged, dispatchd-unreadable-segments");

/// What is sent as a line of JSON.
pub(super) trait Line {
    /// Appends the JSON, without the line's end.
    fn write(&self, out: &mut Vec<u8>);
}

impl Line for LogRow {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_json(out);
    }
}

impl Line for Listed {
    fn write(&self, out: &mut Vec<u8>) {
        // Text, numbers and a map with text for keys: this cannot fail to serialize.
        out.extend(serde_json::to_vec(self).unwrap_or_default());
    }
}

/// How an answer came to its end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    lines: u64,
    outcome: SearchOutcome,
}

/// What the reading thread hands over.
enum Piece {
    Lines {
        bytes: Bytes,
        lines: u64,
    },
    /// Nothing follows. Without it the answer broke off.
    Whole(End),
}

/// Tells the reading thread that nobody listens any more.
pub(super) struct Client(mpsc::Sender<Piece>);

impl Client {
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// Streams lines that a thread of their own reads, of the lowest priority: look-ups go first. When the client goes away the
/// channel closes and the reading ends; so it does when the client takes nothing for [`limits::SLOW_READER_PATIENCE`]. An
/// answer that does not come to its end breaks the connection: a client must not take half of it for the whole.
///
/// A line counts as given when it is handed to the connection. `outcome` says at the end what could not be read.
pub(super) fn stream<I, T, E>(
    audited: Audited,
    permit: OwnedSemaphorePermit,
    read: impl FnOnce(Client) -> I + Send + 'static,
    outcome: impl FnOnce(&I) -> SearchOutcome + Send + 'static,
) -> Response
where
    I: Iterator<Item = Result<T, E>>,
    T: Line,
    E: fmt::Display,
{
    let (pieces, received) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = tokio::runtime::Handle::current();
    let reading = move || {
        let _permit = permit;
        background::lower_priority();
        let send = |piece| {
            runtime.block_on(pieces.send_timeout(piece, limits::SLOW_READER_PATIENCE)).is_ok()
        };
        let mut rows = read(Client(pieces.clone()));
        if let Some(lines) = send_lines(&mut rows, &send) {
            send(Piece::Whole(End { lines, outcome: outcome(&rows) }));
        }
    };
    if let Err(error) = thread::Builder::new().name("log-reading".into()).spawn(reading) {
        // The channel is closed already: the answer breaks off at once.
        tracing::error!(%error, "no thread to read with");
    }
    let ended = Arc::new(OnceLock::new());
    let lines = Body::from_stream(body(received, audited, Arc::clone(&ended)));
    let trailers = async move { ended.get().map(|end| Ok(trailers(end))) };
    let mut response = Response::new(Body::new(lines.with_trailers(trailers)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::TRAILER, TRAILERS);
    response
}

/// Sends every line and says how many they were; none if the client is gone, or so slow that it keeps others from reading,
/// or if something cannot be read.
fn send_lines<T: Line, E: fmt::Display>(
    rows: &mut impl Iterator<Item = Result<T, E>>,
    send: &impl Fn(Piece) -> bool,
) -> Option<u64> {
    let (mut chunk, mut lines, mut all) = (Vec::with_capacity(CHUNK_BYTES + 1024), 0, 0);
    for found in rows {
        match found {
            Ok(line) => line.write(&mut chunk),
            Err(error) => {
                tracing::error!(%error, "an answer broke off: what it is made of cannot be read");
                return None;
            }
        }
        chunk.push(b'\n');
        lines += 1;
        all += 1;
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
            if !send(Piece::Lines { bytes: full.into(), lines: std::mem::take(&mut lines) }) {
                return None;
            }
        }
    }
    let last = Piece::Lines { bytes: chunk.into(), lines };
    (lines == 0 || send(last)).then_some(all)
}

/// What was sent, and an error behind it if the sender is gone and did not say that this was all.
fn body(
    received: mpsc::Receiver<Piece>,
    audited: Audited,
    ended: Arc<OnceLock<End>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((received, Some(audited)), move |(mut received, audited)| {
        let ended = Arc::clone(&ended);
        async move {
            // Dropped with the answer's body, the entry says that it broke off, and after how many lines.
            let mut audited = audited?;
            match received.recv().await {
                Some(Piece::Lines { bytes, lines }) => {
                    audited.add(lines);
                    Some((Ok(bytes), (received, Some(audited))))
                }
                Some(Piece::Whole(end)) => {
                    let _ = ended.set(end);
                    // Before the answer's end: who has it whole finds it noted.
                    let _ = tokio::task::spawn_blocking(move || audited.finish()).await;
                    None
                }
                None => Some((Err(io::Error::other("the answer broke off")), (received, None))),
            }
        }
    })
}

fn trailers(end: &End) -> HeaderMap {
    HeaderMap::from_iter([
        (RECORDS, end.lines.into()),
        (DAMAGED, end.outcome.damaged.into()),
        (UNREADABLE_SEGMENTS, end.outcome.unreadable_segments.into()),
    ])
}
