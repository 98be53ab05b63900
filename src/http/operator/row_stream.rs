//! Rows of the log as an NDJSON body that is whole or breaks off, never half and well ended.
//!
//! Behind the last row come trailers (RFC 9110 section 6.5, to clients that send `TE: trailers`): how many records there
//! were and what could not be read, which nobody knows before. A client without them still sees every cut: the last chunk
//! of the chunked body is missing (RFC 9112 section 8).

use std::{
    io,
    sync::{Arc, OnceLock},
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
    limits,
    query_log::{Search, SearchOutcome},
};

/// Bytes of records that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the search waits.
const CHUNKS_AHEAD: usize = 4;
/// What is sent, as `Accept` names it.
pub(super) const NDJSON: &str = "application/x-ndjson";

const RECORDS: HeaderName = HeaderName::from_static("dispatchd-records");
const DAMAGED: HeaderName = HeaderName::from_static("dispatchd-damaged");
const UNREADABLE_SEGMENTS: HeaderName = HeaderName::from_static("dispatchd-unreadable-segments");
const TRAILERS: HeaderValue =
    HeaderValue::from_static("dispatchd-records, dispatchd-damaged, dispatchd-unreadable-segments");

/// How a search came to its end.
#[derive(Clone, Copy)]
struct End {
    records: u64,
    outcome: SearchOutcome,
}

/// Set once the last row is on its way; a body whose search is gone without it is cut.
type Ended = Arc<OnceLock<End>>;
type Chunks = mpsc::Sender<io::Result<Bytes>>;

/// Streams rows from a thread of their own. When the client goes away the channel closes and the search ends; so it
/// does when the client takes nothing for [`limits::SLOW_READER_PATIENCE`].
pub(super) fn stream_rows(search: Search, limit: usize, permit: OwnedSemaphorePermit) -> Response {
    let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
    let client = chunks.clone();
    let search = search.stop_when(move || client.is_closed());
    let ended = Ended::default();
    let ending = Arc::clone(&ended);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Some(end) = read(search, limit, &chunks, &runtime) {
            let _ = ending.set(end);
        }
    });
    let rows = Body::from_stream(body(received, Arc::clone(&ended)));
    let trailers = async move { ended.get().map(|end| Ok(trailers(end))) };
    let mut response = Response::new(Body::new(rows.with_trailers(trailers)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::TRAILER, TRAILERS);
    response
}

/// Sends every row; none if the client is gone, or so slow that it keeps others from searching, or if a segment cannot
/// be read.
fn read(
    mut search: Search,
    limit: usize,
    chunks: &Chunks,
    runtime: &tokio::runtime::Handle,
) -> Option<End> {
    let send = |chunk| runtime.block_on(chunks.send_timeout(chunk, limits::SLOW_READER_PATIENCE));
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
    let mut records = 0;
    for found in search.by_ref().take(limit) {
        match found {
            Ok((_, row)) => row.write_json(&mut chunk),
            Err(error) => {
                tracing::error!(%error, "a search could not read a segment");
                return None;
            }
        }
        records += 1;
        chunk.push(b'\n');
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
            send(Ok(full.into())).ok()?;
        }
    }
    if !chunk.is_empty() {
        send(Ok(chunk.into())).ok()?;
    }
    Some(End { records, outcome: search.outcome() })
}

/// What was sent, and an error behind it if the sender is gone and did not say that this was all: a client must not
/// take half an answer for a whole one, whether the client was slow, a segment failed, or a thread crashed.
fn body(
    received: mpsc::Receiver<io::Result<Bytes>>,
    ended: Ended,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some((received, ended)), |open| async move {
        let (mut received, ended) = open?;
        match received.recv().await {
            Some(chunk) => Some((chunk, Some((received, ended)))),
            None if ended.get().is_some() => None,
            None => Some((Err(io::Error::other("the rows break off")), None)),
        }
    })
}

fn trailers(end: &End) -> HeaderMap {
    HeaderMap::from_iter([
        (RECORDS, end.records.into()),
        (DAMAGED, end.outcome.damaged.into()),
        (UNREADABLE_SEGMENTS, end.outcome.unreadable_segments.into()),
    ])
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_ends_well_only_if_its_search_did() {
        for is_whole in [true, false] {
            let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
            let ended = Ended::default();
            chunks.send(Ok(Bytes::from_static(b"{}\n"))).await.unwrap();
            if is_whole {
                let end = End { records: 1, outcome: SearchOutcome::default() };
                assert!(ended.set(end).is_ok());
            }
            drop(chunks);
            let sent: Vec<_> = body(received, ended).collect().await;
            assert_eq!(sent.len(), if is_whole { 1 } else { 2 });
            assert_eq!(sent.last().unwrap().is_ok(), is_whole);
        }
    }
}
