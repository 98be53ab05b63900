//! [`AnswerLines`]: the lines of an answer as it arrives, for nodes that ask other nodes and for commands.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};

/// No line is longer.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Why there is no next line. `E` is what the connection reports.
#[derive(Debug, thiserror::Error)]
pub enum LinesError<E> {
    /// A line is too long.
    #[error("a line of the server's answer is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The answer ends where no line does.
    #[error("the server's answer ends within a line")]
    WithinLine,
    /// The answer broke off.
    #[error(transparent)]
    Broken(E),
}

/// The lines of a body as it arrives. It holds one line and what came with it.
pub struct AnswerLines<E> {
    body: UnsyncBoxBody<Bytes, E>,
    buffer: BytesMut,
    trailers: Vec<(String, String)>,
}

impl<E> AnswerLines<E> {
    /// Those of a body.
    pub fn of(body: impl Body<Data = Bytes, Error = E> + Send + 'static) -> Self {
        let (buffer, trailers) = (BytesMut::new(), Vec::new());
        Self { body: body.boxed_unsync(), buffer, trailers }
    }

    /// The next line if it has arrived whole.
    pub fn arrived(&mut self) -> Option<BytesMut> {
        let end = line_end(&self.buffer)?;
        Some(self.cut(end))
    }

    /// The next line, without its line end; none at the end of the body.
    ///
    /// # Errors
    /// If the body breaks off or is no lines. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<Option<BytesMut>, LinesError<E>> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = line_end(fresh) {
                return Ok(Some(self.cut(searched + end)));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(LinesError::TooLong);
            }
            let Some(frame) = self.body.frame().await else {
                return if self.buffer.is_empty() { Ok(None) } else { Err(LinesError::WithinLine) };
            };
            match frame.map_err(LinesError::Broken)?.into_data() {
                Ok(chunk) => self.buffer.extend_from_slice(&chunk),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                    let each = trailers
                        .iter()
                        .map(|(name, value)| (name.to_string(), text(value.as_bytes())));
                    self.trailers = each.collect();
                }
            }
        }
    }

    /// A trailer, once the last line was read; none if it has not come.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        let found = self.trailers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn cut(&mut self, end: usize) -> BytesMut {
        let mut line = self.buffer.split_to(end + 1);
        line.truncate(end);
        line
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    async fn read(pieces: &[Result<&'static str, &'static str>]) -> (Vec<String>, Option<String>) {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| piece.map(|text| Frame::data(Bytes::from(text))).map_err(io::Error::other))
            .collect();
        let mut lines = AnswerLines::of(StreamBody::new(stream::iter(frames)));
        let mut read = Vec::new();
        loop {
            let next = match lines.arrived() {
                Some(line) => Ok(Some(line)),
                None => lines.next().await,
            };
            match next {
                Ok(Some(line)) => read.push(String::from_utf8(line.to_vec()).unwrap()),
                Ok(None) => return (read, None),
                Err(error) => return (read, Some(error.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn lines_come_whole_and_an_end_within_one_is_an_error() {
        let (lines, error) = read(&[Ok("a"), Ok("b\nc\n\nd"), Ok("\n")]).await;
        assert_eq!((lines, error), (["ab", "c", "", "d"].map(String::from).to_vec(), None));
        let (lines, error) = read(&[Ok("a\nb")]).await;
        assert_eq!((lines.len(), error.unwrap().contains("within a line")), (1, true));
        let (lines, error) = read(&[Ok("a\n"), Err("cut")]).await;
        assert_eq!((lines.len(), error), (1, Some("cut".to_owned())));
    }
}
