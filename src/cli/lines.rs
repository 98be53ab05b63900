//! A server's answer, line by line.

use reqwest::Response;

/// The lines of a body as it arrives.
pub(super) struct Lines {
    response: Response,
    buffer: Vec<u8>,
    start: usize,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        Self { response, buffer: Vec::new(), start: 0 }
    }

    /// The next line, without its end; none at the end of the body.
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
            match self.response.chunk().await.map_err(reqwest::Error::without_url)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
