//! Runs the real program in processes of its own.

use std::{
    env, fs,
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(120);

/// A running `dispatchd serve`. Dropping it kills the process.
pub(crate) struct Server {
    pub(crate) addresses: dispatchd::server::Addresses,
    /// From the start of the process until it answers lookups.
    pub(crate) ready_after: Duration,
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
        let ready_after = start.elapsed();
        Ok(Self { addresses: serde_json::from_str(&text)?, ready_after, child })
    }

    /// The address of the phones' listener.
    pub(crate) fn phones(&self) -> SocketAddr {
        self.addresses.phones
    }

    /// The server's resident memory after a pause.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        // The allocator returns freed memory to the kernel after a short delay.
        thread::sleep(Duration::from_secs(2));
        crate::memory_bytes("VmRSS:", Some(self.child.id()))
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
