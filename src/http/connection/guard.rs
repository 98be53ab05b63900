//! The stream of one connection, between the HTTP library and TCP or TLS, with deadlines for its client.
//!
//! - A client that takes no bytes for [`limits::WRITE_TIMEOUT`] loses its connection, even while the library waits for
//!   something else. The kernel reports progress only once a third of its send buffer is free, so a client that takes single
//!   bytes makes none.
//! - While an HTTP/1.1 client takes no bytes, no more requests are read from it. The library alone would go on to answer some
//!   requests, and keep the answers.
//! - Another node of the cluster may take nothing for much longer ([`ToNode`](super::open::ToNode)), and its connection stays open until
//!   that node closes it, for as long. That ends when the node is silent, and when this server stops.
//! - An HTTP/2 client that takes nothing of one of its answers for as long loses its connection, too, whatever else it takes. An
//!   answer that has nothing to send waits for the server, and may pause.
//! - An HTTP/2 connection without a request under way ends after [`limits::IDLE_TIMEOUT`], whatever other frames come. For HTTP/1.1
//!   the library limits the time until the next head.
//! - While the server stops, an HTTP/2 connection without a request under way ends after [`limits::GOAWAY_TIMEOUT`]. The library
//!   alone would wait until the client has acknowledged that the server goes away, and a phone may sleep.
//! - The library's own refusals become problems ([`super::refusal`]). Before the connection closes, what the client still sends
//!   is read: with unread bytes the kernel would reset the connection, and the client would lose the answer.

use std::{
    future::Future as _,
    io::{self, ErrorKind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::coop::unconstrained,
    time::Sleep,
};

use super::{open::Open, refusal, socket::Socket};
use crate::{http::edge::Connection, limits, shutdown::Shutdown};

/// Guards the streams that `inner` accepts.
#[derive(Clone, Debug)]
pub(in crate::http) struct Guarded<A> {
    pub(in crate::http) inner: A,
    /// Says whether the server stops.
    pub(in crate::http) shutdown: Shutdown,
}

impl<A> Accept<TcpStream, Connection> for Guarded<A>
where
    A: Accept<TcpStream, Connection>,
    A::Future: Send + 'static,
    A::Stream: AsyncRead + AsyncWrite + Socket + Unpin,
{
    type Stream = Guard<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, connection: Connection) -> Self::Future {
        let open = connection.open();
        let (accepted, shutdown) = (self.inner.accept(stream, connection), self.shutdown.clone());
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((Guard::new(stream, open, shutdown), service))
        })
    }
}

/// A stream that ends when its client does not keep up.
pub(in crate::http) struct Guard<T> {
    stream: T,
    open: Arc<Open>,
    shutdown: Shutdown,
    protocol: Protocol,
    /// How long the client may take no bytes.
    patience: Duration,
    /// Runs while bytes wait for the client to take them.
    write: Deadline,
    /// The library, which wants to read while bytes wait.
    reader: Option<Waker>,
    /// Runs while an answer over HTTP/2 waits for its client.
    untaken: Deadline,
    /// Runs on an HTTP/2 connection while the server stops.
    leaving: Deadline,
    /// Runs on an HTTP/2 connection, while a refused client may still send, and while another node has not taken the end of its answer.
    idle: Deadline,
    /// How many requests had come when `idle` began.
    requests: usize,
    /// Bytes that came since the last line ended, as far as whole reads tell.
    unbroken: usize,
    refusal: Option<Refusal>,
}

/// The first byte that the server sends tells the two apart: a status line, or the length of a frame of settings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Unknown,
    Http1,
    Http2,
}

/// What is sent in the place of the library's answer.
struct Refusal {
    answer: Vec<u8>,
    sent: usize,
    /// Bytes that came after it.
    dropped: usize,
}

/// A timer that exists only while it runs.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Starts it, unless it runs. Ready once it has run for `span`, also for a task that has used up its turn: a client that never
    /// pauses makes it use up each one.
    fn poll_passed(&mut self, cx: &mut Context<'_>, span: Duration) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(span)));
        pin!(unconstrained(sleep.as_mut())).poll(cx)
    }

    fn is_running(&self) -> bool {
        self.0.is_some()
    }

    fn stop(&mut self) {
        self.0 = None;
    }
}

impl<T: AsyncRead + AsyncWrite + Socket + Unpin> Guard<T> {
    fn new(stream: T, open: Arc<Open>, shutdown: Shutdown) -> Self {
        Self {
            stream,
            open,
            shutdown,
            protocol: Protocol::Unknown,
            patience: limits::WRITE_TIMEOUT,
            write: Deadline::default(),
            reader: None,
            untaken: Deadline::default(),
            leaving: Deadline::default(),
            idle: Deadline::default(),
            requests: 0,
            unbroken: 0,
            refusal: None,
        }
    }

    /// Starts the deadline of writes if `polled` waits, and stops it otherwise.
    fn within_deadline<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_pending() {
            self.choose_patience();
            let passed = self.write.poll_passed(cx, self.patience);
            return passed.map(|()| Err(ErrorKind::TimedOut.into()));
        }
        self.write.stop();
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        polled
    }

    /// Chooses how long the client may take no bytes. If that has changed, it has this long from now on.
    fn choose_patience(&mut self) {
        let may_wait = self.open.waits_for_node() && !self.shutdown.is_stopping();
        let patience =
            if may_wait { limits::CLUSTER_UNREAD_PATIENCE } else { limits::WRITE_TIMEOUT };
        if self.patience != patience {
            self.patience = patience;
            self.write.stop();
            if may_wait {
                self.stream.wait_for_client();
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within_deadline(cx, polled)
    }

    /// Sends what is left of the answer in the place of the library's.
    fn poll_send_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut refusal) = self.refusal.take() else {
            return Poll::Ready(Ok(()));
        };
        let mut sent = Poll::Ready(Ok(()));
        while refusal.sent < refusal.answer.len() && matches!(sent, Poll::Ready(Ok(()))) {
            sent = match self.poll_send(cx, &refusal.answer[refusal.sent..]) {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
                polled => polled.map_ok(|count| refusal.sent += count),
            };
        }
        self.refusal = Some(refusal);
        sent
    }

    /// Reads and drops what a refused client still sends.
    fn poll_drop_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4_096];
        while let Some(refusal) = &mut self.refusal
            && refusal.dropped < limits::BODY_DROPPED_BYTES_MAX
        {
            let mut read = ReadBuf::new(&mut bytes);
            if Pin::new(&mut self.stream).poll_read(cx, &mut read)?.is_pending() {
                // The client has the answer, so the end of waiting is no error. HTTP/1.1 does not use the other timer.
                return self.idle.poll_passed(cx, limits::REFUSAL_LINGER).map(Ok);
            }
            if read.filled().is_empty() {
                break;
            }
            refusal.dropped += read.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    /// Ready once another node has closed the connection: it takes the end of its answer before. Of a socket that is closed earlier, the
    /// kernel keeps for some minutes only what it has not sent.
    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        self.choose_patience();
        match Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut bytes)) {
            Poll::Pending if self.patience == limits::CLUSTER_UNREAD_PATIENCE => {
                self.idle.poll_passed(cx, self.patience).map(Ok)
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Ready if an HTTP/2 connection ends now: with an error because of its client, or else because the server
    /// stops.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(since) = self.open.untaken_since() {
            let left = limits::WRITE_TIMEOUT.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            if self.untaken.poll_passed(cx, left).is_pending() {
                break;
            }
            // It ran for an earlier answer, or for an earlier part of this one.
            self.untaken.stop();
        }
        if self.shutdown.is_stopping() {
            self.open.stop();
            while self.leaving.poll_passed(cx, limits::GOAWAY_TIMEOUT).is_ready() {
                if !self.open.is_busy() {
                    return Poll::Ready(Ok(()));
                }
                self.leaving.stop();
            }
            return Poll::Pending;
        }
        while self.idle.poll_passed(cx, limits::IDLE_TIMEOUT).is_ready() {
            let requests = self.open.requests();
            if requests == self.requests && !self.open.is_busy() {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            self.requests = requests;
            self.idle.stop();
        }
        Poll::Pending
    }

    /// Notes what the client sent.
    fn came(&mut self, bytes: &[u8]) {
        self.unbroken = match bytes.contains(&b'\n') {
            true => 0,
            false => self.unbroken.saturating_add(bytes.len()),
        };
    }
}

impl<T: AsyncRead + AsyncWrite + Socket + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.protocol == Protocol::Http1 && self.write.is_running() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Before each read: a client may send without a pause. Without an error it is the end of input, for which the library sends
        // what is left and closes the connection.
        if self.protocol == Protocol::Http2
            && let Poll::Ready(end) = self.poll_end(cx)
        {
            return Poll::Ready(end);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.came(&buffer.filled()[before..]);
        }
        polled
    }
}

impl<T: AsyncRead + AsyncWrite + Socket + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.protocol == Protocol::Unknown {
            let is_http1 = bytes.first() == Some(&b'H');
            self.protocol = if is_http1 { Protocol::Http1 } else { Protocol::Http2 };
        }
        self.choose_patience();
        if self.protocol == Protocol::Http1
            && self.refusal.is_none()
            && let Some((begin, problem)) =
                refusal::find(bytes, self.unbroken >= limits::HEAD_BYTES_MAX)
        {
            let (before, head) = bytes.split_at(begin);
            let problem = refusal::answer(head, problem, self.open.traffic());
            let answer = [before, &problem].concat();
            self.refusal = Some(Refusal { answer, sent: 0, dropped: 0 });
            return Poll::Ready(Ok(bytes.len()));
        }
        self.poll_send(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_refusal(cx))?;
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.within_deadline(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        ready!(self.within_deadline(cx, polled))?;
        if self.open.is_to_node() { self.poll_taken(cx) } else { self.poll_drop_input(cx) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::coop::consume_budget,
    };
    use tokio_util::sync::CancellationToken;

    use super::{super::open::ToNode, *};
    use crate::http::connection::support::connection;

    impl Socket for DuplexStream {
        fn wait_for_client(&self) {}
    }

    /// Bytes that the stream takes before its client reads.
    const BUFFER: usize = 64;
    /// What hyper answers by itself.
    const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
        date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    fn guard() -> (DuplexStream, Guard<DuplexStream>) {
        guard_of(BUFFER)
    }

    fn guard_of(buffer: usize) -> (DuplexStream, Guard<DuplexStream>) {
        let (client, stream) = duplex(buffer);
        (client, Guard::new(stream, connection().open(), Shutdown::new()))
    }

    /// One whose client and server have sent the beginning of HTTP/2.
    async fn guard_of_http2() -> (DuplexStream, Guard<DuplexStream>) {
        let (client, mut guard) = guard();
        guard.write_all(&[0, 0, 0, 4]).await.unwrap();
        (client, guard)
    }

    /// How a connection ends whose library reads, and drops what comes.
    async fn end(guard: &mut Guard<DuplexStream>) -> io::Result<()> {
        let mut bytes = [0; 4];
        while guard.read(&mut bytes).await? > 0 {}
        Ok(())
    }

    /// What `future` gives. A test must not hang if a deadline is missing.
    async fn soon<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends")
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_connection() {
        let (_client, mut guard) = guard();
        let begun = Instant::now();
        let written = soon(guard.write_all(&[b'H'; BUFFER + 1])).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limits::WRITE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_client_that_takes_some_keeps_it() {
        let (mut client, mut guard) = guard();
        let begun = Instant::now();
        let taking = async {
            let mut bytes = [0; 16];
            while begun.elapsed() < 3 * limits::WRITE_TIMEOUT {
                client.read_exact(&mut bytes).await.unwrap();
                tokio::time::sleep(limits::WRITE_TIMEOUT / 10).await;
            }
        };
        let writing = async { while guard.write_all(&[b'H'; BUFFER]).await.is_ok() {} };
        // The client comes first in each round, so a pause of the machine does not end the connection.
        tokio::select! {
            biased;
            () = taking => {}
            () = writing => panic!("the connection ended"),
        }
    }

    #[tokio::test]
    async fn nothing_is_read_from_an_http1_client_that_takes_nothing() {
        let (mut client, mut guard) = guard();
        client.write_all(b"next").await.unwrap();
        let mut bytes = [0; BUFFER + 1];
        {
            let mut writing = Box::pin(guard.write_all(&[b'H'; BUFFER + 1]));
            assert!(futures_util::poll!(&mut writing).is_pending());
        }
        let mut next = [0; 4];
        assert!(futures_util::poll!(Box::pin(guard.read(&mut next))).is_pending());
        client.read_exact(&mut bytes[..BUFFER]).await.unwrap();
        guard.write_all(b"H").await.unwrap();
        assert_eq!(guard.read(&mut next).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn an_http2_connection_without_a_request_ends_whatever_else_comes() {
        let (mut client, mut guard) = guard_of_http2().await;
        let begun = Instant::now();
        let pinging = async {
            loop {
                client.write_all(b"ping").await.unwrap();
                tokio::time::sleep(limits::IDLE_TIMEOUT / 10).await;
            }
        };
        let ended = tokio::select! {
            ended = soon(end(&mut guard)) => ended,
            () = pinging => unreachable!("it goes on for ever"),
        };
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limits::IDLE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn another_node_may_take_nothing_for_long_and_its_connection_waits_for_its_end() {
        const LONG: Duration =
            limits::CLUSTER_UNREAD_PATIENCE.saturating_sub(Duration::from_secs(1));
        let (mut client, mut guard) = guard();
        guard.open.begin().goes_to_node(ToNode(CancellationToken::new()));
        let begun = tokio::time::Instant::now();
        let taking = async {
            tokio::time::sleep(LONG).await;
            client.read_exact(&mut [0; BUFFER + 1]).await.unwrap();
            tokio::time::sleep(LONG).await;
            drop(client);
        };
        let writing = async {
            guard.write_all(&[b'H'; BUFFER + 1]).await.unwrap();
            guard.shutdown().await.unwrap();
            assert!(begun.elapsed() >= 2 * LONG, "it may not have the end");
        };
        tokio::join!(taking, writing);

        let (_client, mut guard) = super::tests::guard();
        guard.open.begin().goes_to_node(ToNode(CancellationToken::new()));
        let begun = tokio::time::Instant::now();
        let written = guard.write_all(&[b'H'; BUFFER + 1]).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limits::CLUSTER_UNREAD_PATIENCE);
    }

    /// Once that node is silent, or the server stops: with bytes that wait, and with an answer whose end was sent.
    #[tokio::test(start_paused = true)]
    async fn another_node_is_waited_for_no_longer_than_there_is_a_reason() {
        const AFTER: Duration = Duration::from_secs(60);
        for (has_stopped, bytes) in [(false, BUFFER + 1), (true, BUFFER + 1), (true, 1)] {
            let (_client, mut guard) = guard();
            let (over, shutdown) = (CancellationToken::new(), guard.shutdown.clone());
            guard.open.begin().goes_to_node(ToNode(over.clone()));
            let begun = tokio::time::Instant::now();
            let ending = async {
                guard.write_all(&vec![b'H'; bytes]).await?;
                guard.shutdown().await
            };
            let mut ending = pin!(ending);
            assert!(tokio::time::timeout(AFTER, &mut ending).await.is_err());
            if has_stopped {
                shutdown.stop()
            } else {
                over.cancel()
            }
            // Each of the two wakes the connection.
            assert!(
                tokio::time::timeout(Duration::ZERO, &mut ending).await.is_err() == (bytes > 1)
            );
            if bytes > 1 {
                assert_eq!(ending.await.unwrap_err().kind(), ErrorKind::TimedOut);
            }
            assert!(begun.elapsed() < AFTER + 2 * limits::WRITE_TIMEOUT);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernel_waits_for_another_node_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let timeout = |stream: &TcpStream| socket2::SockRef::from(stream).tcp_user_timeout();
        socket2::SockRef::from(&stream)
            .set_tcp_user_timeout(Some(limits::UNTAKEN_TIMEOUT))
            .unwrap();
        let mut guard = Guard::new(stream, connection().open(), Shutdown::new());
        guard.write_all(b"HTTP").await.unwrap();
        assert_eq!(timeout(&guard.stream).unwrap(), Some(limits::UNTAKEN_TIMEOUT));
        guard.open.begin().goes_to_node(ToNode(CancellationToken::new()));
        guard.write_all(b"HTTP").await.unwrap();
        assert_eq!(timeout(&guard.stream).unwrap(), None);
    }

    /// A client that never pauses.
    struct Flood;

    impl Socket for Flood {
        fn wait_for_client(&self) {}
    }

    impl AsyncRead for Flood {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(b"ping");
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Flood {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_http2_client_that_never_pauses_is_ended_as_others_are() {
        for is_stopping in [false, true] {
            let mut guard = Guard::new(Flood, connection().open(), Shutdown::new());
            guard.write_all(&[0, 0, 0, 4]).await.unwrap();
            if is_stopping {
                guard.shutdown.stop();
            }
            let flooded = async {
                let mut bytes = [0; 4];
                while guard.read(&mut bytes).await? > 0 {
                    // The task goes on until its turn is used up.
                    consume_budget().await;
                }
                io::Result::Ok(())
            };
            let ended = soon(flooded).await.map_err(|error| error.kind());
            assert_eq!(ended, if is_stopping { Ok(()) } else { Err(ErrorKind::TimedOut) });
        }
    }

    #[tokio::test]
    async fn requests_that_come_during_a_stop_do_not_hold_it() {
        let (_client, mut guard) = guard_of_http2().await;
        let (open, mut late) = (Arc::clone(&guard.open), Vec::new());
        let under_way = open.begin();
        guard.shutdown.stop();
        let patience = 4 * limits::GOAWAY_TIMEOUT;
        let ended = tokio::time::timeout(patience, end(&mut guard)).await;
        assert!(ended.is_err(), "{ended:?}");
        late.push(open.begin());
        drop(under_way);
        late.push(open.begin());
        soon(end(&mut guard)).await.unwrap();
    }

    #[tokio::test]
    async fn an_http2_connection_with_a_request_now_and_then_does_not_end() {
        let (mut client, mut guard) = guard_of_http2().await;
        let begun = Instant::now();
        let open = Arc::clone(&guard.open);
        let asking = async {
            while begun.elapsed() < 10 * limits::IDLE_TIMEOUT {
                drop(open.begin());
                client.write_all(b"next").await.unwrap();
                tokio::time::sleep(limits::IDLE_TIMEOUT / 10).await;
            }
        };
        // The client comes first in each round, so a pause of the machine does not end the connection.
        tokio::select! {
            biased;
            () = asking => {}
            ended = end(&mut guard) => panic!("the connection ended: {ended:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_that_its_http2_client_does_not_take_ends_the_connection() {
        let (_client, mut guard) = guard_of_http2().await;
        let mut taken = guard.open.begin();
        taken.wait_for_client();
        taken.go_on();
        // Nothing to send, and nothing to take: only the other answer is late.
        let patience = 4 * limits::WRITE_TIMEOUT;
        let ended = tokio::time::timeout(patience, end(&mut guard)).await;
        assert!(ended.is_err(), "{ended:?}");
        let mut untaken = guard.open.begin();
        let begun = Instant::now();
        untaken.wait_for_client();
        let ended = soon(end(&mut guard)).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= limits::WRITE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_stop_ends_an_http2_connection_once_no_request_is_under_way() {
        let (_client, mut guard) = guard_of_http2().await;
        let mut under_way = Some(guard.open.begin());
        guard.shutdown.stop();
        let patience = 4 * limits::GOAWAY_TIMEOUT;
        let ended = tokio::time::timeout(patience, end(&mut guard)).await;
        assert!(ended.is_err(), "{ended:?}");
        under_way.take();
        // The end of input rather than an error, so that the library sends what is left.
        soon(end(&mut guard)).await.unwrap();
    }

    #[tokio::test]
    async fn an_http2_connection_with_a_request_under_way_does_not_end() {
        let (_client, mut guard) = guard_of_http2().await;
        let under_way = guard.open.begin();
        let mut bytes = [0; 4];
        let patience = 4 * limits::IDLE_TIMEOUT;
        let read = tokio::time::timeout(patience, guard.read(&mut bytes)).await;
        assert!(read.is_err(), "{read:?}");
        drop(under_way);
        let read = soon(guard.read(&mut bytes)).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_librarys_answer_becomes_a_problem_after_an_earlier_answer() {
        let (mut client, mut guard) = guard();
        let traffic = Arc::clone(guard.open.traffic());
        let reading = async {
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            text
        };
        let writing = async {
            let earlier = b"HTTP/1.1 204 No Content\r\nx-request-id: r_1\r\n\r\n";
            guard.write_all(&[earlier, BAD].concat()).await.unwrap();
            guard.shutdown().await.unwrap();
            drop(guard);
        };
        let (text, ()) = soon(async { tokio::join!(reading, writing) }).await;
        let (earlier, problem) = text.split_once("HTTP/1.1 400 Bad Request\r\n").unwrap();
        assert!(earlier.starts_with("HTTP/1.1 204") && earlier.ends_with("\r\n\r\n"), "{text}");
        let (head, body) = problem.split_once("\r\n\r\n").unwrap();
        for line in
            ["connection: close", "content-type: application/problem+json", "x-request-id: r_"]
        {
            assert!(head.contains(line), "{head}");
        }
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert_eq!(head.matches("content-length").count(), 1);
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "request-invalid");
        let [answered] = &traffic.requests()[..] else { panic!("it is not counted once") };
        assert_eq!((answered.call, answered.status), ("other", 400));
    }

    #[tokio::test]
    async fn what_follows_a_malformed_head_is_read_for_a_moment() {
        // Takes the whole answer.
        const LARGE: usize = 4_096;
        let (mut client, mut guard) = guard_of(LARGE);
        guard.write_all(BAD).await.unwrap();
        let mut answer = vec![0; LARGE];
        let sending = async {
            // More than the stream takes at once, so it is read meanwhile.
            client.write_all(&[b'x'; 10 * LARGE]).await.unwrap();
            client.read(&mut answer).await.unwrap()
        };
        // The guard is dropped at the end, which would break the client's writing off.
        let closing = async move { guard.shutdown().await };
        let (sent, closed) = soon(async { tokio::join!(sending, closing) }).await;
        assert!(sent > 0 && answer.starts_with(b"HTTP/1.1 400"));
        closed.unwrap();
    }

    #[tokio::test]
    async fn answers_of_the_service_are_not_touched() {
        let (mut client, mut guard) = guard();
        let own = b"HTTP/1.1 400 B\r\nx-request-id: r_1\r\n\r\n";
        guard.write_all(own).await.unwrap();
        let mut bytes = [0; BUFFER];
        let count = client.read(&mut bytes).await.unwrap();
        assert_eq!(&bytes[..count], own);
    }
}
