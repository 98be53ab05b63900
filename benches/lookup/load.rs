//! The load generator: one thread with keep-alive connections, one outstanding request on each.
//!
//! It must cost less than any server that it measures. It therefore sends prepared requests, and reads only the
//! status and the length of each answer.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// The bench fails if no connection gets an answer for this long.
const PATIENCE_SECS: i64 = 20;
const ANSWER_BYTES_MAX: usize = 512 * 1024;
const HEAD_BYTES_MAX: usize = 4_096;

/// All connections to one server.
pub(crate) struct Fleet {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    /// Bytes of the last answer.
    answer_bytes: usize,
    /// Answers received since the connections were opened.
    pub(crate) answers: u64,
}

struct Connection {
    stream: Stream,
    requests: Vec<Vec<u8>>,
    next: usize,
    sent_at: Instant,
    /// The received part of an answer that is not complete.
    partial: Vec<u8>,
}

/// The measurements of one time slice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slice {
    pub(crate) answers: u64,
    pub(crate) elapsed: Duration,
    /// One latency for each answer, in microseconds from request to answer.
    pub(crate) latencies_us: Vec<u32>,
}

impl Fleet {
    /// Opens one connection for each list of requests, over TLS if there is a configuration for it.
    pub(crate) fn connect(
        address: SocketAddr,
        requests: Vec<Vec<Vec<u8>>>,
        tls: Option<&Arc<ClientConfig>>,
    ) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for (number, requests) in requests.into_iter().enumerate() {
            let stream = TcpStream::connect(address).context("connecting")?;
            stream.set_nodelay(true)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            let stream = Stream::over(stream, tls)?;
            connections.push(Connection {
                stream,
                requests,
                next: 0,
                sent_at: Instant::now(),
                partial: Vec::new(),
            });
        }
        Ok(Self {
            epoll,
            ready: Vec::with_capacity(connections.len()),
            connections,
            buffer: vec![0; ANSWER_BYTES_MAX],
            answer_bytes: 0,
            answers: 0,
        })
    }

    /// Bytes of the last answer, with its head.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// Sends requests on every connection for `span`, then waits for all outstanding answers.
    pub(crate) fn ask_for(&mut self, span: Duration) -> anyhow::Result<Slice> {
        let mut slice = Slice::default();
        let started = Instant::now();
        for connection in &mut self.connections {
            connection.send(started)?;
        }
        let mut open = self.connections.len();
        while open > 0 {
            self.ready.clear();
            let patience = Timespec { tv_sec: PATIENCE_SECS, tv_nsec: 0 };
            epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&patience))?;
            ensure!(!self.ready.is_empty(), "the server does not answer");
            for event in &self.ready {
                let number = event.data.u64() as usize;
                let connection = &mut self.connections[number];
                let Some(bytes) = connection.receive(&mut self.buffer)? else {
                    continue;
                };
                self.answer_bytes = bytes;
                let now = Instant::now();
                slice.answers += 1;
                let took = now.duration_since(connection.sent_at).as_micros();
                slice.latencies_us.push(took as u32);
                if now.duration_since(started) < span {
                    connection.send(now)?;
                } else {
                    open -= 1;
                }
            }
        }
        slice.elapsed = started.elapsed();
        self.answers += slice.answers;
        Ok(slice)
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// A stream that does not wait, over a new connection.
    fn over(stream: TcpStream, tls: Option<&Arc<ClientConfig>>) -> anyhow::Result<Self> {
        let Some(config) = tls else {
            stream.set_nonblocking(true)?;
            return Ok(Self::Plain(stream));
        };
        let connection = ClientConnection::new(Arc::clone(config), "localhost".try_into()?)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).context("the handshake")?;
        }
        stream.sock.set_nonblocking(true)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Connection {
    fn send(&mut self, now: Instant) -> anyhow::Result<()> {
        self.sent_at = now;
        let request = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        // A connection has at most one outstanding request, and that fits into the socket's buffer.
        self.stream.send(request).context("sending a request")
    }

    /// Reads what has arrived. Returns the bytes of the answer if it is complete.
    fn receive(&mut self, buffer: &mut [u8]) -> anyhow::Result<Option<usize>> {
        let got = match self.stream.read(buffer) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("reading an answer"),
        };
        if self.partial.is_empty() && is_whole(&buffer[..got])? {
            return Ok(Some(got));
        }
        self.partial.extend_from_slice(&buffer[..got]);
        let bytes = self.partial.len();
        let is_whole = is_whole(&self.partial)?;
        if is_whole {
            self.partial.clear();
        }
        Ok(is_whole.then_some(bytes))
    }
}

/// Whether these bytes are one complete answer. Fails unless the status is 200 and the length is stated.
fn is_whole(bytes: &[u8]) -> anyhow::Result<bool> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let Some(head_end) = head.windows(4).position(|end| end == b"\r\n\r\n") else {
        ensure!(head.len() < HEAD_BYTES_MAX, "an answer's head does not end");
        return Ok(false);
    };
    let head = std::str::from_utf8(&bytes[..head_end])?;
    let mut lines = head.split("\r\n");
    ensure!(lines.next() == Some("HTTP/1.1 200 OK"), "not answered: {head}");
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    };
    let length = lines.find_map(length).context("an answer without a length")??;
    let whole = head_end + 4 + length;
    ensure!(
        bytes.len() <= whole,
        "an answer is longer than it says: {} of {whole} bytes",
        bytes.len()
    );
    Ok(bytes.len() == whole)
}
