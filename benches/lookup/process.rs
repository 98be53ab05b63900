//! Starts the measured servers and assigns processors to them.

use std::{
    env,
    ffi::OsString,
    fs,
    fs::File,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{Amounts, peer};

const PATIENCE: Duration = Duration::from_secs(60);
/// Limits that one machine reaches which asks as fast as it can.
const RAISED: [&str; 6] = [
    "NEW_HANDLES_PER_DAY",
    "NETWORK_NEW_HANDLES_PER_DAY",
    "REQUESTS_PER_MINUTE",
    "LOOKUPS_PER_DAY",
    "NETWORK_LOOKUPS_PER_MINUTE",
    "UNPROVEN_LOOKUPS_PER_MINUTE",
];

/// A server in a process of its own. Dropping it kills the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

/// The files of a certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The scheduler's figures for a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// Time on a processor.
    pub(crate) ran: Duration,
    /// Time ready to run while the processor ran other tasks.
    pub(crate) waited: Duration,
}

impl Server {
    /// Starts the hello server.
    pub(crate) fn hello(amounts: &Amounts) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(peer::ARGUMENT).stdout(Stdio::piped());
        let mut child = spawn(command, amounts)?;
        let mut line = String::new();
        let output = child.stdout.take().context("the peer has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().context("the peer printed no address")?;
        Ok(Self { address, child })
    }

    /// Starts another server, which listens at `address`.
    pub(crate) fn other(
        command: Command,
        address: SocketAddr,
        amounts: &Amounts,
    ) -> anyhow::Result<Self> {
        let server = Self { address, child: spawn(command, amounts)? };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < PATIENCE, "the server does not start");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    /// Starts `dispatchd` on `data`, with TLS if there is a certificate. Quotas are off, or on with limits that the load does not
    /// reach.
    pub(crate) fn dispatchd(
        data: &Path,
        durability: &str,
        has_quotas: bool,
        tls: Option<&Pair>,
        amounts: &Amounts,
    ) -> anyhow::Result<Self> {
        let files = |pair: &Pair| {
            [("TLS__CERTIFICATE", pair.certificate.clone()), ("TLS__KEY", pair.key.clone())]
        };
        let env = tls.map(files).into_iter().flatten().map(|(name, path)| (name, path.into()));
        Self::dispatchd_with(data, durability, has_quotas, env, amounts)
    }

    /// As [`Self::dispatchd`], with settings such as `("SERVER__SHED_AFTER", "0s")`.
    pub(crate) fn dispatchd_with(
        data: &Path,
        durability: &str,
        has_quotas: bool,
        env: impl IntoIterator<Item = (&'static str, OsString)>,
        amounts: &Amounts,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
            command.env_remove(name);
        }
        let output = data.with_extension("out");
        for limit in RAISED {
            command.env(format!("DISPATCHD_QUOTA__{limit}"), u32::MAX.to_string());
        }
        command
            .arg("serve")
            .env("DISPATCHD_SERVER__DATA", data)
            .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
            .env("DISPATCHD_SERVER__THREADS", amounts.threads.to_string())
            .env("DISPATCHD_LOG__DURABILITY", durability)
            .env("DISPATCHD_QUOTA__ENABLED", has_quotas.to_string())
            .envs(env.into_iter().map(|(name, value)| (format!("DISPATCHD_{name}"), value)))
            .stdout(File::create(&output)?)
            .stderr(File::create(output)?);
        let addresses = data.join("addresses.json");
        let mut child = spawn(command, amounts)?;
        let started = Instant::now();
        let text = loop {
            if let Ok(text) = fs::read_to_string(&addresses) {
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

    /// The processor time of all the server's threads since its start.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<CpuTime> {
        let mut sum = CpuTime::default();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between the listing and the read.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let mut nanos = text.split(' ').map_while(|text| text.parse().ok());
            sum.ran += Duration::from_nanos(nanos.next().unwrap_or(0));
            sum.waited += Duration::from_nanos(nanos.next().unwrap_or(0));
        }
        Ok(sum)
    }

    /// Sends SIGTERM and waits until the server has ended.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
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

/// Starts a server on the first processor. A child inherits the processors of the thread that starts it.
fn spawn(mut command: Command, amounts: &Amounts) -> anyhow::Result<Child> {
    let all = sched_getaffinity(None)?;
    if amounts.pin {
        pin_to(0)?;
    }
    let child = command.spawn();
    sched_setaffinity(None, &all)?;
    child.context("starting a server")
}

/// Moves this thread to the second processor, if there is one.
pub(crate) fn keep_off_servers(amounts: &Amounts) -> anyhow::Result<()> {
    if amounts.pin && thread::available_parallelism()?.get() > 1 {
        pin_to(1)?;
    }
    Ok(())
}

/// Restricts this thread to one of the processors that the bench may use.
fn pin_to(index: usize) -> anyhow::Result<()> {
    // As before the first thread was restricted: a thread that is kept off the servers starts servers, too.
    static ALLOWED: OnceLock<CpuSet> = OnceLock::new();
    let now = sched_getaffinity(None)?;
    let allowed = ALLOWED.get_or_init(|| now);
    let mut processors = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let mut only = CpuSet::new();
    only.set(processors.nth(index).context("too few processors")?);
    sched_setaffinity(None, &only)?;
    Ok(())
}
