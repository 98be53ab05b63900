//! A server's answer, line by line.

use anyhow::bail;
use http_body_util::BodyExt as _;
use reqwest::{Body, Response, header::HeaderMap};

use crate::query_log::SearchOutcome;

/// The lines of a body as it arrives.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    start: usize,
    trailers: HeaderMap,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        let (body, buffer) = (Body::from(response), Vec::new());
        Self { body, buffer, start: 0, trailers: HeaderMap::new() }
    }

    /// The next line, without its line end; none at the end of the body. A body that breaks off is an error.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut searched = self.start;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let end = searched + end;
                let line = self.buffer.get(self.start..end).unwrap_or_default().to_vec();
                self.start = end + 1;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            searched = self.buffer.len();
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

    /// A number from the trailers, by its name.
    pub(super) fn trailer(&self, name: &str) -> Option<u64> {
        self.trailers.get(name)?.to_str().ok()?.parse().ok()
    }
}
