//! Runs the real program in a process of its own, and talks to it with a minimal HTTP client.

use std::{
    env,
    ffi::OsString,
    fs,
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(120);
/// How often the reader of a stream checks `stop`.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// A running `dispatchd serve`. Dropping it kills the process.
pub(crate) struct Server {
    pub(crate) addresses: dispatchd::server::Addresses,
    child: Child,
}

/// A `dispatchd` command without the `DISPATCHD_` variables of this environment.
pub(crate) fn dispatchd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

impl Server {
    /// Starts the server on `data` and waits until it is ready.
    pub(crate) fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[])
    }

    /// As [`Self::start`], with more variables.
    pub(crate) fn start_with(
        data: &Path,
        settings: &[(&'static str, OsString)],
    ) -> anyhow::Result<Self> {
        let output = data.with_extension("out");
        let start = Instant::now();
        let mut child = dispatchd(&["serve"])
            .env("DISPATCHD_SERVER__DATA", data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_LOG__DURABILITY", "os")
            .env("DISPATCHD_QUOTA__ENABLED", "false")
            .envs(settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(output)?)
            .spawn()?;
        // The server writes this file when it is ready.
        let path = data.join("addresses.json");
        let text = loop {
            if let Ok(text) = fs::read_to_string(&path) {
                break text;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}");
            }
            if PATIENCE < start.elapsed() {
                let _ = child.kill();
                bail!("the server does not start");
            }
            thread::sleep(Duration::from_millis(5));
        };
        Ok(Self { addresses: serde_json::from_str(&text)?, child })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits until the server has ended.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both do nothing after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A keep-alive connection with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 256 * 1024] })
    }

    /// Sends a request and returns the body of its answer. Fails unless the status is 2xx.
    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            ensure!(filled < self.buffer.len(), "an answer is too long");
            let got = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(got > 0, "the server hung up");
            filled += got;
            if let Some(body) = body_start(&self.buffer[..filled])? {
                return Ok(&self.buffer[body..filled]);
            }
        }
    }
}

/// The offset of the body, once the answer is complete.
fn body_start(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    ensure!(head.starts_with("HTTP/1.1 2"), "not answered: {head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.context("an answer without a length")??;
    Ok((bytes.len() >= end + 4 + length).then_some(end + 4))
}

/// What a stream of rows returned.
#[derive(Clone, Copy, Default)]
pub(crate) struct Streamed {
    pub(crate) rows: u64,
    /// Whether the stream ended by itself.
    pub(crate) whole: bool,
}

/// Reads every row that `GET path` streams, until the stream ends or `stop` is set.
pub(crate) fn stream_rows(
    operators: SocketAddr,
    token: &str,
    path: &str,
    stop: &AtomicBool,
) -> anyhow::Result<Streamed> {
    let mut stream = TcpStream::connect(operators)?;
    stream.set_read_timeout(Some(CHECK_EVERY))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         accept: application/x-ndjson\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let (mut buffer, mut streamed, mut is_first) = (vec![0; 1 << 18], Streamed::default(), true);
    while !stop.load(Ordering::Relaxed) {
        let got = match stream.read(&mut buffer) {
            Ok(0) => {
                streamed.whole = true;
                break;
            }
            Ok(got) => got,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(error).context("reading a stream of rows"),
        };
        let bytes = &buffer[..got];
        ensure!(!is_first || bytes.starts_with(b"HTTP/1.1 200"), "a search was refused");
        is_first = false;
        // Each row is one flat JSON object, and nothing else in the answer has a brace.
        streamed.rows += memchr::memchr_iter(b'{', bytes).count() as u64;
    }
    Ok(streamed)
}
