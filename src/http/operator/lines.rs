//! Answers of any length, line by line. Each line is counted when it is given. An answer is complete, or the connection
//! breaks.
//!
//! Trailers follow the last line (RFC 9110 section 6.5, to clients that send `TE: trailers`): the number of lines and
//! what could not be read, which is known only then. A client without trailers still detects a broken answer: the last
//! chunk of the chunked body is missing (RFC 9112 section 8). A browser cannot take trailers. If an answer over all
//! nodes of a cluster lacks the part of one, such a client gets a last line of the kind `missing`, and one of the kind `from_store`
//! for each node whose part comes from its copies.

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
    background,
    reading::{self, Given, Outcome, Reading, Stop},
};

/// Bytes of lines that are sent at once, at first: one line. Each chunk may be four times as large as the one before. A page over all nodes
/// then has the first rows of this one while this one reads on, and often needs no more of them.
const CHUNK_BYTES_FIRST: usize = 1;
/// Bytes of lines that are sent at once at most.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the reading waits.
const CHUNKS_AHEAD: usize = 4;
const NDJSON: &str = "application/x-ndjson";

const RECORDS: HeaderName = HeaderName::from_static(reading::RECORDS);
const DAMAGED: HeaderName = HeaderName::from_static(reading::DAMAGED);
const UNREADABLE_SEGMENTS: HeaderName = HeaderName::from_static(reading::UNREADABLE_SEGMENTS);
const TRAILERS: HeaderValue =
    HeaderValue::from_static("dispatchd-records, dispatchd-damaged, dispatchd-unreadable-segments");
/// Those of an answer over all nodes of a cluster.
const GATHERED_TRAILERS: HeaderValue = HeaderValue::from_static(
    "dispatchd-records, dispatchd-damaged, dispatchd-unreadable-segments, dispatchd-missing, dispatchd-from-store",
);

/// What a client takes.
#[derive(Clone, Copy)]
pub(super) struct Accepted {
    /// Rows one by one.
    pub(super) lines: bool,
    /// Trailers behind them.
    pub(super) trailers: bool,
}

impl Accepted {
    /// What a client says that it takes.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let says = |name: HeaderName, what: &str| {
            let mut values = headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
            values.any(|value| value.contains(what))
        };
        Self { lines: says(header::ACCEPT, NDJSON), trailers: says(header::TE, "trailers") }
    }
}

/// How many lines of a whole answer count, and what could not be read.
type End = (u64, Outcome);

enum Piece {
    /// Lines, and how many of them count.
    Lines(Bytes, u64),
    /// Nothing follows. Without it the answer broke off.
    Whole(Outcome),
}

struct Writer {
    pieces: mpsc::Sender<Piece>,
    runtime: Handle,
    chunk: Vec<u8>,
    /// How long the chunk gets before it is sent.
    chunk_bytes: usize,
    /// Lines in the chunk that count.
    lines: u64,
    /// Whether the client learns from a trailer whose part is missing.
    takes_trailers: bool,
}

impl Writer {
    fn stop(&self) -> Stop {
        let client = self.pieces.clone();
        Arc::new(move || client.is_closed())
    }

    /// Writes a row. False once the connection is gone.
    fn write(&mut self, row: &impl Row) -> bool {
        self.lines += u64::from(row.is_record());
        row.write(&mut self.chunk);
        self.chunk.push(b'\n');
        self.chunk.len() < self.chunk_bytes || self.send()
    }

    fn send(&mut self) -> bool {
        self.chunk_bytes = CHUNK_BYTES_MAX.min(self.chunk_bytes * 4);
        let next = Vec::with_capacity(self.chunk_bytes + 1024);
        let bytes = std::mem::replace(&mut self.chunk, next);
        let lines = std::mem::take(&mut self.lines);
        self.hand_over(Piece::Lines(bytes.into(), lines))
    }

    fn hand_over(&self, piece: Piece) -> bool {
        self.runtime.block_on(self.pieces.send(piece)).is_ok()
    }

    /// The answer is complete. A client that takes no trailers gets a line for each node that is gone.
    fn end(mut self, outcome: Outcome) {
        if !self.takes_trailers {
            for note in outcome.notes() {
                self.chunk.extend(note.to_json().into_bytes());
                self.chunk.push(b'\n');
            }
        }
        if self.chunk.is_empty() || self.send() {
            self.hand_over(Piece::Whole(outcome));
        }
    }
}

/// Streams the rows of `reading`, read on a thread of its own, of the lowest priority: lookups go first. If something cannot
/// be read the connection breaks, since a client must not take half of an answer for the whole. Reading stops when the
/// client goes away, or its connection is closed because it takes nothing.
///
/// A row counts as given when it is handed to the connection.
pub(super) fn stream<R: Row>(
    reading: Reading<R>,
    place: Place,
    (takes_trailers, is_gathered): (bool, bool),
) -> Response {
    let (pieces, received) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = Handle::current();
    let (chunk, chunk_bytes) = (Vec::new(), CHUNK_BYTES_FIRST);
    let mut writer = Writer { pieces, runtime, chunk, chunk_bytes, lines: 0, takes_trailers };
    let Reading { given, read } = reading;
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
    let lines = Body::from_stream(body(received, given, Arc::clone(&ended)));
    let trailers = async move { ended.get().map(|end| Ok(trailers(end))) };
    let mut response = Response::new(Body::new(lines.with_trailers(trailers)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::TRAILER, if is_gathered { GATHERED_TRAILERS } else { TRAILERS });
    response
}

/// The bytes that the reading thread sends; then an error, if it ended without saying that the answer is complete.
fn body(
    received: mpsc::Receiver<Piece>,
    given: Given,
    ended: Arc<OnceLock<End>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((received, Some(given), 0), move |(mut received, given, sent)| {
        let ended = Arc::clone(&ended);
        async move {
            // Dropped with the answer's body, the entry says that it broke off, and after how many lines.
            let mut given = given?;
            match received.recv().await {
                Some(Piece::Lines(bytes, lines)) => {
                    given.add(lines);
                    Some((Ok(bytes), (received, Some(given), sent + lines)))
                }
                Some(Piece::Whole(outcome)) => {
                    let _ = ended.set((sent, outcome));
                    // Written before the answer ends: a client that has all of it finds the entry complete.
                    let _ = tokio::task::spawn_blocking(move || given.finish()).await;
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
    let passed_over = outcome.passed_over;
    let mut trailers = HeaderMap::from_iter([
        (RECORDS, (*lines).into()),
        (DAMAGED, passed_over.damaged.into()),
        (UNREADABLE_SEGMENTS, passed_over.unreadable_segments.into()),
    ]);
    for (name, text) in outcome.node_trailers() {
        let text = HeaderValue::from_str(&text).ok();
        trailers.extend(text.map(|text| (HeaderName::from_static(name), text)));
    }
    trailers
}
