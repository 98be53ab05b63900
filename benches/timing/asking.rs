//! Starts the server, and sends it one request after the other on one connection.

use std::{
    env, fs,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::population::Random;

const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of request.
#[derive(Clone, Copy)]
pub(crate) enum Question {
    Deregistration,
    Lookup,
    Batch,
}

/// `dispatchd` in a process of its own. Dropping it kills the process.
pub(crate) struct Server {
    address: SocketAddr,
    child: Child,
}

impl Question {
    /// The request, and the expected beginning of its answer.
    fn ask(self, token: &str, handle: &str) -> (String, &'static [u8]) {
        let post = |path: &str, headers: &str, body: String| {
            let length = body.len();
            format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\n\
                 content-length: {length}\r\n\r\n{body}"
            )
        };
        let bearer = format!("authorization: Bearer {token}\r\n");
        match self {
            Self::Deregistration => {
                let body = format!("{{\"handle\":\"{handle}\"}}");
                (post("/v1/deregistrations", "", body), b"HTTP/1.1 202 ")
            }
            Self::Lookup => {
                let line = format!("GET /v1/lookup/{handle} HTTP/1.1\r\nhost: localhost\r\n");
                (format!("{line}{bearer}\r\n"), b"HTTP/1.1 200 ")
            }
            Self::Batch => {
                let body = format!("{{\"handles\":[\"{handle}\"]}}");
                (post("/v1/lookup", &bearer, body), b"HTTP/1.1 200 ")
            }
        }
    }
}

impl Server {
    /// Starts the server on `data` on the first processor. Moves this thread to the second, if there is one. So many codes
    /// may be open.
    pub(crate) fn start(data: &Path, sessions: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
            command.env_remove(name);
        }
        let output = File::create(data.with_extension("out"))?;
        command
            .arg("serve")
            .env("DISPATCHD_SERVER__DATA", data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__THREADS", "1")
            .env("DISPATCHD_LOG__DURABILITY", "os")
            .env("DISPATCHD_QUOTA__ENABLED", "false")
            .env("DISPATCHD_OWNERSHIP__SESSIONS", sessions.to_string())
            .stdout(output.try_clone()?)
            .stderr(output);
        // A child inherits the processors of the thread that starts it.
        let all = sched_getaffinity(None)?;
        keep_to(0)?;
        let mut child = command.spawn().context("starting the server")?;
        sched_setaffinity(None, &all)?;
        keep_to(1)?;
        let started = Instant::now();
        let text = loop {
            if let Ok(text) = fs::read_to_string(data.join("addresses.json")) {
                break text;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}");
            }
            ensure!(started.elapsed() < PATIENCE, "the server does not start");
            thread::sleep(Duration::from_millis(2));
        };
        let read: dispatchd::server::Addresses = serde_json::from_str(&text)?;
        Ok(Self { address: read.phones, child })
    }

    /// Asks about each handle of each group once, in random order. Returns the nanoseconds from request to answer for
    /// each group.
    pub(crate) fn time<'a>(
        &self,
        question: Question,
        token: &str,
        groups: [&'a [String]; 3],
        random: &mut Random,
    ) -> anyhow::Result<[Vec<u64>; 3]> {
        let of_group = |(group, handles): (usize, &'a [String])| {
            handles.iter().map(move |handle| (group, handle))
        };
        let mut order: Vec<_> = groups.into_iter().enumerate().flat_map(of_group).collect();
        random.shuffle(&mut order);
        // Allocate the requests in the order of sending. The client's memory layout then does not depend on the
        // groups.
        let requests =
            order.into_iter().map(|(group, handle)| (group, question.ask(token, handle)));
        let requests: Vec<_> = requests.collect();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut times: [Vec<u64>; 3] = Default::default();
        let mut buffer = vec![0; 16 * 1024];
        for (group, (request, beginning)) in requests {
            let asked = Instant::now();
            stream.write_all(request.as_bytes())?;
            // The answer is much shorter than a TCP segment, so one read gets all of it.
            let got = stream.read(&mut buffer)?;
            times[group].push(u64::try_from(asked.elapsed().as_nanos())?);
            let answer = &buffer[..got];
            let text = || String::from_utf8_lossy(answer);
            ensure!(answer.starts_with(beginning), "not answered: {}", text());
            ensure!(answer.ends_with(b"}"), "not whole: {}", text());
        }
        Ok(times)
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

/// Restricts this thread to one of its allowed processors, if there are several.
fn keep_to(index: usize) -> anyhow::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let processors: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    if processors.len() < 2 {
        return Ok(());
    }
    let mut only = CpuSet::new();
    only.set(processors[index]);
    sched_setaffinity(None, &only)?;
    Ok(())
}
