//! Replies of a mail server (RFC 5321, section 4.2).

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use crate::limits;

/// A reply of one or more lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The text of each line, which may be empty. It may quote a handle, so it must not be logged.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Reads the lines up to the last one of a reply. A line may lack its text, and its carriage return.
    ///
    /// The error is `UnexpectedEof` if the server closed the connection, and `InvalidInput` if it sent something else.
    pub(super) async fn read(server: &mut (impl AsyncBufRead + Send + Unpin)) -> Result<Self> {
        let mut server = server.take(limits::MAIL_REPLY_BYTES_MAX as u64);
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            server.read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') {
                let is_too_long = server.limit() == 0;
                return Err(if is_too_long { no_reply() } else { ErrorKind::UnexpectedEof.into() });
            }
            let (status, is_last, text) = parse(line.trim_ascii_end()).ok_or_else(no_reply)?;
            lines.push(text);
            if is_last {
                return Ok(Self { status, lines });
            }
        }
    }

    /// 2xx, or 3xx if the server waits for more.
    pub(super) const fn is_positive(&self) -> bool {
        self.status < 400
    }
}

/// The error of bytes that are no reply.
fn no_reply() -> Error {
    ErrorKind::InvalidInput.into()
}

/// The status, whether the line is the last one, and its text.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_status = matches!(digits[0], b'2'..=b'5') && digits.iter().all(u8::is_ascii_digit);
    let status =
        is_status.then(|| digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')))?;
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((status, is_last, String::from_utf8_lossy(text).into_owned()))
}

/// Reads `bytes` as replies, one after the other, as a fuzz target gives them.
///
/// # Panics
/// If a reply has no line, or a status that a server cannot send.
#[cfg(feature = "testing")]
pub fn fuzz_replies(mut bytes: &[u8]) {
    use futures_util::FutureExt as _;

    loop {
        let read = Reply::read(&mut bytes).now_or_never();
        let Ok(reply) = read.expect("bytes in memory are there at once") else { return };
        assert!((200..600).contains(&reply.status) && !reply.lines.is_empty());
        assert!(reply.is_positive() == (reply.status < 400));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut sent: &[u8]) -> Result<(Reply, usize)> {
        let reply = Reply::read(&mut sent).await?;
        Ok((reply, sent.len()))
    }

    #[tokio::test]
    async fn a_reply_ends_with_its_last_line_and_may_lack_text() {
        let cases: &[(&str, u16, &[&str], usize)] = &[
            ("250 OK\r\n", 250, &["OK"], 0),
            ("250\r\n", 250, &[""], 0),
            ("250 \r\n", 250, &[""], 0),
            ("250\n", 250, &[""], 0),
            ("250-\r\n250\r\n", 250, &["", ""], 0),
            ("250-a b\r\n250-\r\n250 c\r\n354 go\r\n", 250, &["a b", "", "c"], 8),
            ("550-5.7.1 no\r\n550 5.7.1 way\r\n", 550, &["5.7.1 no", "5.7.1 way"], 0),
            ("421 caf\u{e9}\r\n", 421, &["caf\u{e9}"], 0),
        ];
        for (sent, status, lines, left) in cases {
            let (reply, unread) = read(sent.as_bytes()).await.expect(sent);
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!((reply, unread), (Reply { status: *status, lines }, *left), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_or_has_no_end_is_an_error() {
        let endless = "250-a\r\n".repeat(limits::MAIL_REPLY_BYTES_MAX);
        let long = "2".repeat(limits::MAIL_REPLY_BYTES_MAX + 1);
        for (sent, kind) in [
            ("", ErrorKind::UnexpectedEof),
            ("250", ErrorKind::UnexpectedEof),
            ("250-a\r\n", ErrorKind::UnexpectedEof),
            ("\r\n", ErrorKind::InvalidInput),
            ("25\r\n", ErrorKind::InvalidInput),
            ("2500\r\n", ErrorKind::InvalidInput),
            ("150 a\r\n", ErrorKind::InvalidInput),
            ("650 a\r\n", ErrorKind::InvalidInput),
            ("+OK\r\n", ErrorKind::InvalidInput),
            ("HTTP/1.1 400 Bad Request\r\n", ErrorKind::InvalidInput),
            (&endless, ErrorKind::InvalidInput),
            (&long, ErrorKind::InvalidInput),
        ] {
            let error = read(sent.as_bytes()).await.expect_err(&sent[..sent.len().min(40)]);
            assert_eq!(error.kind(), kind, "{}", &sent[..sent.len().min(40)]);
        }
    }
}
