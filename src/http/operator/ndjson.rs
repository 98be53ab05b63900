//! A body of JSON lines, written by a thread that may wait.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use serde::Serialize;
use tokio::{runtime, sync::mpsc};

use crate::limits;

/// The media type of JSON lines.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// Bytes of lines that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks made ahead of a slow client; then the writer waits.
const CHUNKS_AHEAD: usize = 4;

/// The writing end. It ends with [`Lines::end`] or [`Lines::break_off`].
pub(super) struct Lines {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    runtime: runtime::Handle,
    chunk: Vec<u8>,
}

impl Lines {
    /// A writing end and the response that carries what is written. Called on the runtime; the rest is not.
    pub(super) fn open() -> (Self, Response) {
        let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
        let body = stream::unfold(received, |mut received| async move {
            received.recv().await.map(|chunk| (chunk, received))
        });
        let mut response = Response::new(Body::from_stream(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let runtime = runtime::Handle::current();
        (Self { chunks, runtime, chunk: Vec::new() }, response)
    }

    /// Whether the client has gone away; to be asked by whoever works on the next line.
    pub(super) fn is_gone(&self) -> impl Fn() -> bool + Clone + Send + 'static {
        let client = self.chunks.clone();
        move || client.is_closed()
    }

    /// Writes a line. False once nobody takes them, or nobody has for [`limits::SLOW_READER_PATIENCE`].
    pub(super) fn write(&mut self, line: &impl Serialize) -> bool {
        serde_json::to_writer(&mut self.chunk, line)
            .expect("structs of texts and numbers have a JSON form, and a vector takes it");
        self.chunk.push(b'\n');
        self.chunk.len() < CHUNK_BYTES || self.send()
    }

    /// The body is whole.
    pub(super) fn end(mut self) {
        // If the client is gone nobody misses it.
        self.send();
    }

    /// The body breaks off: a client must not take half an answer for a whole one.
    pub(super) fn break_off(self) {
        let broken = Err(io::Error::other("a segment cannot be read"));
        let sending = self.chunks.send_timeout(broken, limits::SLOW_READER_PATIENCE);
        // If the client is gone nobody misses it.
        let _ = self.runtime.block_on(sending);
    }

    fn send(&mut self) -> bool {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let sending = self.chunks.send_timeout(Ok(chunk), limits::SLOW_READER_PATIENCE);
        self.runtime.block_on(sending).is_ok()
    }
}
