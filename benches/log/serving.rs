//! The real program, in a process of its own, and just enough HTTP to talk to it.

use std::{
    env, fs,
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
/// How often a reader of a stream looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// `dispatchd serve`, killed when dropped.
pub(crate) struct Server {
    pub(crate) addresses: dispatchd::server::Addresses,
    child: Child,
}

/// A command of `dispatchd` with nothing of this environment's settings.
pub(crate) fn dispatchd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

impl Server {
    /// Starts on `data` and waits until it is ready.
    pub(crate) fn start(data: &Path) -> anyhow::Result<Self> {
        let output = data.with_extension("out");
        let start = Instant::now();
        let mut child = dispatchd(&["serve"])
            .env("DISPATCHD_SERVER__DATA", data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_LOG__DURABILITY", "os")
            .env("DISPATCHD_QUOTA__ENABLED", "false")
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(output)?)
            .spawn()?;
        // It is written once the server is ready.
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

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // No-ops after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that stays open, with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends a whole request and takes the answer's body. Anything but success is an error.
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

/// Where the body starts, once all of it is there.
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

/// What a stream of rows brought.
#[derive(Clone, Copy, Default)]
pub(crate) struct Streamed {
    pub(crate) rows: u64,
    /// It came to its end.
    pub(crate) whole: bool,
}

/// Takes every row that `GET path` streams, until it ends or `stop` says so.
pub(crate) fn stream_rows(
    operators: SocketAddr,
    token: &str,
    path: &str,
    stop: &AtomicBool,
) -> anyhow::Result<Streamed> {
    let mut stream = TcpStream::connect(operators)?;
    stream.set_read_timeout(Some(LOOK))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
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
        // A row is one flat object, and nothing else in the answer has a brace.
        streamed.rows += memchr::memchr_iter(b'{', bytes).count() as u64;
    }
    Ok(streamed)
}
