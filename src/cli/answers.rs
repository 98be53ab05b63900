//! Answers of a server as they arrive: in one piece, or line by line.

use anyhow::{anyhow, bail};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use reqwest::{Body, Response, header::HeaderMap};
use serde::de::DeserializeOwned;

use crate::query_log::SearchOutcome;

/// What to say of an answer that cannot be read.
pub(super) const UNREADABLE: &str =
    "the server sends what this command cannot read; is it a newer version?";
/// No answer in one piece is longer.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// No line is longer.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The answer as JSON.
pub(super) async fn body<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    read(&whole(response, ANSWER_BYTES_MAX).await?)
}

/// The body of an answer that has at most so many bytes.
pub(super) async fn whole(mut response: Response, most: usize) -> anyhow::Result<BytesMut> {
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        whole.extend_from_slice(&piece);
        if whole.len() > most {
            bail!("the server's answer is longer than {most} bytes");
        }
    }
    Ok(whole)
}

/// What arrived. The error does not say what is in it.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(text).map_err(|_| anyhow!(UNREADABLE))
}

/// The lines of a body as it arrives.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    trailers: HeaderMap,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        let (buffer, trailers) = (BytesMut::new(), HeaderMap::new());
        Self { body: response.into(), buffer, trailers }
    }

    /// The next line, without its line end; none at the end of the body. A body that breaks off is an error.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<BytesMut>> {
        let mut searched = 0;
        loop {
            let mut fresh = self.buffer.iter().skip(searched);
            if let Some(end) = fresh.position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(searched + end + 1);
                line.truncate(searched + end);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                bail!("a line of the server's answer is longer than {LINE_BYTES_MAX} bytes");
            }
            let Some(frame) = self.body.frame().await else {
                if !self.buffer.is_empty() {
                    bail!("the server's answer ends within a line");
                }
                return Ok(None);
            };
            match frame.map_err(reqwest::Error::without_url)?.into_data() {
                Ok(chunk) => self.buffer.extend_from_slice(&chunk),
                Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
    }

    /// What the server could not read, from the trailers; none if a proxy dropped them.
    pub(super) fn outcome(&self) -> Option<SearchOutcome> {
        let damaged = self.trailer("dispatchd-damaged")?;
        let unreadable_segments = self.trailer("dispatchd-unreadable-segments")?;
        Some(SearchOutcome { damaged, unreadable_segments })
    }

    pub(super) fn trailer(&self, name: &str) -> Option<u64> {
        self.trailers.get(name)?.to_str().ok()?.parse().ok()
    }
}
