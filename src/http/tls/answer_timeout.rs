//! [`AnswerTimeout`]: a TLS stream that ends when an HTTP/2 client does not take its answers.
//!
//! An HTTP/2 client says how many bytes of each answer it takes (RFC 9113 section 5.2). One that allows none would keep its answers
//! in the server's memory, for as long as it keeps the connection alive with other frames. The HTTP library has no deadline for it.
//! The heads of frames say enough: the server begins an answer with HEADERS. It ends with the flag END_STREAM or, from either side,
//! with RST_STREAM.

use std::{
    io::{Error, ErrorKind, Result},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;

use crate::http::connection::socket::Socket;

/// Bytes that an HTTP/2 client sends before its first frame (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
/// Types of frames and a flag (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// A stream of HTTP/1.1 or, if ALPN has chosen it, HTTP/2.
pub(in crate::http) struct AnswerTimeout<T> {
    stream: T,
    /// How long an answer may take from its head to its end; none if it may pause for long. HTTP/1.1 has other deadlines.
    answer_max: Option<Duration>,
    is_http2: bool,
    has_written: bool,
    came: Frames,
    left: Frames,
    /// The streams whose answer has begun, with the moment, in the order of moments.
    begun: Vec<(u32, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: Socket> Socket for AnswerTimeout<TlsStream<S>> {
    fn wait_for_client(&self) {
        self.stream.get_ref().0.wait_for_client();
    }
}

/// Finds the heads of frames in what passes.
struct Frames {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have passed.
    filled: usize,
    /// Bytes that follow before the next head.
    rest: usize,
}

impl Frames {
    fn after(rest: usize) -> Self {
        Self { head: [0; HEAD_BYTES], filled: 0, rest }
    }

    /// Gives type, flags and stream of each frame whose head ends in `bytes`.
    fn pass(&mut self, mut bytes: &[u8], mut found: impl FnMut(u8, u8, u32)) {
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD_BYTES {
                let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = self.head;
                self.rest = u32::from_be_bytes([0, l1, l2, l3]) as usize;
                self.filled = 0;
                found(kind, flags, u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]));
            }
        }
    }
}

impl<T> AnswerTimeout<T> {
    pub(super) fn new(stream: T, is_http2: bool, answer_max: Option<Duration>) -> Self {
        Self {
            stream,
            answer_max,
            is_http2,
            has_written: false,
            came: Frames::after(PREFACE_BYTES),
            left: Frames::after(0),
            begun: Vec::new(),
            timer: None,
        }
    }

    fn is_watched(&self) -> bool {
        self.is_http2 && self.answer_max.is_some()
    }

    fn note_came(&mut self, bytes: &[u8]) {
        let Self { came, begun, .. } = self;
        came.pass(bytes, |kind, _, stream| {
            if kind == RST_STREAM {
                begun.retain(|(it, _)| *it != stream);
            }
        });
    }

    fn note_left(&mut self, bytes: &[u8]) {
        let Self { left, begun, .. } = self;
        left.pass(bytes, |kind, flags, stream| match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => begun.retain(|(it, _)| *it != stream),
            HEADERS if begun.iter().all(|(it, _)| *it != stream) => {
                begun.push((stream, Instant::now()));
            }
            RST_STREAM => begun.retain(|(it, _)| *it != stream),
            _ => {}
        });
    }

    /// Ready if the oldest answer has taken too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(answer_max) = self.answer_max else { return Poll::Pending };
        while let Some((_, begun)) = self.begun.first() {
            let due = *begun + answer_max;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            std::task::ready!(timer.as_mut().poll(cx));
            if due <= timer.deadline() {
                return Poll::Ready(());
            }
            // The answer for which it was set has ended.
            self.timer = None;
        }
        self.timer = None;
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for AnswerTimeout<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.is_watched() {
            self.note_came(&buffer.filled()[before..]);
            if self.poll_overdue(cx).is_ready() {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for AnswerTimeout<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        // The HTTP library would also speak HTTP/2 with a client that began so without having chosen it.
        if !self.is_http2 && !self.has_written && bytes.first().is_some_and(|first| *first != b'H')
        {
            let why = "HTTP/2 takes ALPN (RFC 9113 section 3.2)";
            return Poll::Ready(Err(Error::new(ErrorKind::InvalidData, why)));
        }
        self.has_written = true;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled
            && self.is_watched()
        {
            self.note_left(&bytes[..written]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // The library flushes after it has written the head of an answer, and then reads only when more has come.
        if self.is_watched() && self.poll_overdue(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    /// The shorter the sooner the tests end. None of them fails on a slow machine.
    const MAX: Duration = Duration::from_millis(50);

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// An HTTP/2 stream whose client has sent its preface.
    async fn server() -> (AnswerTimeout<DuplexStream>, DuplexStream) {
        let (mut client, server) = duplex(1 << 16);
        client.write_all(&[b'P'; PREFACE_BYTES]).await.unwrap();
        let mut server = AnswerTimeout::new(server, true, Some(MAX));
        server.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        (server, client)
    }

    /// Whether the server gives up while it reads in vain.
    async fn gives_up(server: &mut AnswerTimeout<DuplexStream>) -> bool {
        let read = timeout(MAX * 10, server.read(&mut [0; 1024])).await;
        read.is_ok_and(|read| read.unwrap_err().kind() == ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_ends_the_connection() {
        let (mut server, _client) = server().await;
        // In pieces, as a socket takes them.
        for byte in [frame(4, 0, 0, &[0; 6]), frame(HEADERS, 4, 1, b"head")].concat() {
            server.write_all(&[byte]).await.unwrap();
        }
        let began = Instant::now();
        // As long as it takes.
        let ended = server.read(&mut [0; 1024]).await.unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= MAX / 2, "it did not wait");
    }

    #[tokio::test]
    async fn a_client_that_is_silent_after_its_request_is_noticed_too() {
        let (mut server, _client) = server().await;
        server.write_all(&frame(HEADERS, 4, 1, b"head")).await.unwrap();
        let flushing = poll_fn(|cx| match Pin::new(&mut server).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error.kind()),
            _ => Poll::Pending,
        });
        assert_eq!(timeout(MAX * 10_000, flushing).await, Ok(ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn each_answer_counts_whatever_else_moves() {
        let (mut server, mut client) = server().await;
        server.write_all(&frame(HEADERS, 4, 1, b"taken soon")).await.unwrap();
        server.write_all(&frame(HEADERS, 4, 3, b"never taken")).await.unwrap();
        assert!(poll_fn(|cx| Poll::Ready(server.poll_overdue(cx))).await.is_pending());
        server.write_all(&frame(DATA, END_STREAM, 1, b"body")).await.unwrap();
        let ping = frame(6, 0, 0, &[0; 8]);
        let ended = loop {
            client.write_all(&ping).await.unwrap();
            let read = server.read_exact(&mut vec![0; ping.len()]).await;
            if let Err(error) = read {
                break error;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(ended.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_that_has_ended_on_either_side_does_not_count() {
        for (by_server, by_client) in [
            (frame(DATA, END_STREAM, 1, b"body"), Vec::new()),
            (frame(RST_STREAM, 0, 1, &[0; 4]), Vec::new()),
            (frame(HEADERS, 4 | END_STREAM, 1, b"trailers"), Vec::new()),
            (Vec::new(), frame(RST_STREAM, 0, 1, &[0; 4])),
        ] {
            let (server, mut client) = server().await;
            // Long enough for what follows on any machine, then short.
            let mut server = AnswerTimeout { answer_max: Some(MAX * 10_000), ..server };
            server.write_all(&frame(HEADERS, 4, 1, b"head")).await.unwrap();
            server.write_all(&by_server).await.unwrap();
            client.write_all(&by_client).await.unwrap();
            server.read_exact(&mut vec![0; by_client.len()]).await.unwrap();
            assert!(server.begun.is_empty(), "{by_server:?} {by_client:?}");
            server.answer_max = Some(MAX);
            assert!(!gives_up(&mut server).await, "{by_server:?} {by_client:?}");
        }
    }

    #[tokio::test]
    async fn http1_and_answers_that_may_pause_have_no_such_deadline() {
        let (_client, stream) = duplex(1024);
        let mut http1 = AnswerTimeout::new(stream, false, Some(MAX));
        http1.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        assert!(!gives_up(&mut http1).await);
        let (_client, stream) = duplex(1024);
        let mut operators = AnswerTimeout::new(stream, true, None);
        operators.write_all(&frame(HEADERS, 4, 1, b"head")).await.unwrap();
        assert!(!gives_up(&mut operators).await);
    }

    #[tokio::test]
    async fn http2_takes_alpn() {
        let (_client, stream) = duplex(1024);
        let mut stream = AnswerTimeout::new(stream, false, Some(MAX));
        let written = stream.write(&frame(4, 0, 0, &[])).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
