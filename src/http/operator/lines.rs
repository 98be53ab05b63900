//! Answers of any length, line by line, each line counted when it is given.

use std::{fmt, io};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{audit::Audited, audit::Listed, limits, query_log::LogRow};

/// Bytes of lines that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the reading waits.
const CHUNKS_AHEAD: usize = 4;
pub(super) const NDJSON: &str = "application/x-ndjson";

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

/// What the reading thread hands over.
enum Piece {
    Lines {
        bytes: Bytes,
        lines: u64,
    },
    /// Nothing follows. Without it the answer broke off.
    Whole,
}

/// Tells the reading thread that nobody listens any more.
pub(super) struct Client(mpsc::Sender<Piece>);

impl Client {
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// Streams lines that a thread of their own reads. When the client goes away the channel closes and the reading ends; so
/// it does when the client takes nothing for [`limits::SLOW_READER_PATIENCE`]. An answer that does not come to its end
/// breaks the connection: a client must not take half of it for the whole.
///
/// A line counts as given when it is handed to the connection.
pub(super) fn stream<I, T, E>(
    audited: Audited,
    permit: OwnedSemaphorePermit,
    read: impl FnOnce(Client) -> I + Send + 'static,
) -> Response
where
    I: Iterator<Item = Result<T, E>>,
    T: Line,
    E: fmt::Display,
{
    let (pieces, received) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let send = |piece| {
            runtime.block_on(pieces.send_timeout(piece, limits::SLOW_READER_PATIENCE)).is_ok()
        };
        let (mut chunk, mut lines) = (Vec::with_capacity(CHUNK_BYTES + 1024), 0);
        for found in read(Client(pieces.clone())) {
            match found {
                Ok(line) => line.write(&mut chunk),
                Err(error) => {
                    tracing::error!(%error, "an answer broke off: what it is made of cannot be read");
                    return;
                }
            }
            chunk.push(b'\n');
            lines += 1;
            if chunk.len() >= CHUNK_BYTES {
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
                if !send(Piece::Lines { bytes: full.into(), lines: std::mem::take(&mut lines) }) {
                    // Gone, or so slow that it keeps others from reading.
                    return;
                }
            }
        }
        if lines == 0 || send(Piece::Lines { bytes: chunk.into(), lines }) {
            send(Piece::Whole);
        }
    });
    let body = stream::unfold((received, Some(audited)), |(mut received, audited)| async move {
        // Dropped with the answer's body, the entry says that it broke off, and after how many lines.
        let mut audited = audited?;
        match received.recv().await {
            Some(Piece::Lines { bytes, lines }) => {
                audited.add(lines);
                Some((Ok(bytes), (received, Some(audited))))
            }
            Some(Piece::Whole) => {
                // Before the answer's end: who has it whole finds it noted.
                let _ = tokio::task::spawn_blocking(move || audited.finish()).await;
                None
            }
            None => Some((Err(io::Error::other("the answer broke off")), (received, None))),
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
