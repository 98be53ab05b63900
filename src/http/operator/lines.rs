//! Answers of any length, line by line. Each line is counted when it is given. An answer is complete, or the connection
//! breaks.
//!
//! Trailers follow the last line (RFC 9110 section 6.5, to clients that send `TE: trailers`): the number of lines and
//! what could not be read, which is known only then. A client without trailers still detects a broken answer: the last
//! chunk of the chunked body is missing (RFC 9112 section 8).

use std::{
    io,
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
use tokio::{runtime::Handle, sync::mpsc};

use super::places::Place;
use crate::{
    api::Row,
    audit::Audited,
    background, limits,
    query_log::SearchOutcome,
    reading::{Reading, Stop},
};

/// Bytes of lines that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the reading waits.
const CHUNKS_AHEAD: usize = 4;
const NDJSON: &str = "application/x-ndjson";

const RECORDS: HeaderName = HeaderName::from_static("dispatchd-records");
const DAMAGED: HeaderName = HeaderName::from_static("dispatchd-damaged");
const UNREADABLE_SEGMENTS: HeaderName = HeaderName::from_static("dispatchd-unreadable-segments");
const TRAILERS: HeaderValue =
    HeaderValue::from_static("dispatchd-records, dispatchd-damaged, dispatchd-unreadable-segments");

/// Whether the client takes rows one by one.
pub(super) fn are_accepted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains(NDJSON))
}

/// How many lines of a whole answer count, and what could not be read.
type End = (u64, SearchOutcome);

enum Piece {
    /// Lines, and how many of them count.
    Lines(Bytes, u64),
    /// Nothing follows. Without it the answer broke off.
    Whole(SearchOutcome),
}

struct Writer {
    pieces: mpsc::Sender<Piece>,
    runtime: Handle,
    chunk: Vec<u8>,
    /// Lines in the chunk that count.
    lines: u64,
}

impl Writer {
    fn stop(&self) -> Stop {
        let client = self.pieces.clone();
        Arc::new(move || client.is_closed())
    }

    /// Writes a row. False once the client is gone, or has taken nothing for [`limits::SLOW_READER_PATIENCE`].
    fn write(&mut self, row: &impl Row) -> bool {
        self.lines += u64::from(row.is_record());
        row.write(&mut self.chunk);
        self.chunk.push(b'\n');
        self.chunk.len() < CHUNK_BYTES || self.send()
    }

    fn send(&mut self) -> bool {
        let bytes = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
        let lines = std::mem::take(&mut self.lines);
        self.hand_over(Piece::Lines(bytes.into(), lines))
    }

    fn hand_over(&self, piece: Piece) -> bool {
        let sending = self.pieces.send_timeout(piece, limits::SLOW_READER_PATIENCE);
        self.runtime.block_on(sending).is_ok()
    }

    fn end(mut self, outcome: SearchOutcome) {
        if self.chunk.is_empty() || self.send() {
            self.hand_over(Piece::Whole(outcome));
        }
    }
}

/// Streams the rows of `reading`, read on a thread of its own, of the lowest priority: lookups go first. If something cannot
/// be read the connection breaks, since a client must not take half of an answer for the whole. Reading stops when the
/// client goes away, or takes nothing for [`limits::SLOW_READER_PATIENCE`].
///
/// A row counts as given when it is handed to the connection.
pub(super) fn stream<R: Row>(reading: Reading<R>, place: Place) -> Response {
    let (pieces, received) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = Handle::current();
    let mut writer = Writer { pieces, runtime, chunk: Vec::new(), lines: 0 };
    let Reading { audited, read } = reading;
    let reading = move || {
        let _place = place;
        background::lower_priority();
        match read(&writer.stop(), &mut |row| writer.write(&row)) {
            Ok(Some(outcome)) => writer.end(outcome),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "an answer broke off"),
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

/// The bytes that the reading thread sends; then an error, if it ended without saying that the answer is complete.
fn body(
    received: mpsc::Receiver<Piece>,
    audited: Audited,
    ended: Arc<OnceLock<End>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((received, Some(audited), 0), move |(mut received, audited, sent)| {
        let ended = Arc::clone(&ended);
        async move {
            // Dropped with the answer's body, the entry says that it broke off, and after how many lines.
            let mut audited = audited?;
            match received.recv().await {
                Some(Piece::Lines(bytes, lines)) => {
                    audited.add(lines);
                    Some((Ok(bytes), (received, Some(audited), sent + lines)))
                }
                Some(Piece::Whole(outcome)) => {
                    let _ = ended.set((sent, outcome));
                    // Written before the answer ends: a client that has all of it finds the entry complete.
                    let _ = tokio::task::spawn_blocking(move || audited.finish()).await;
                    None
                }
                None => {
                    Some((Err(io::Error::other("the answer broke off")), (received, None, sent)))
                }
            }
        }
    })
}

fn trailers((lines, outcome): &End) -> HeaderMap {
    HeaderMap::from_iter([
        (RECORDS, (*lines).into()),
        (DAMAGED, outcome.damaged.into()),
        (UNREADABLE_SEGMENTS, outcome.unreadable_segments.into()),
    ])
}
