//! Processes that are killed, paused and started again.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// A program with its words, which runs or not. It is killed when this is dropped.
pub(crate) struct Process {
    command: Command,
    output: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that does not run yet. Its messages go to the file `output`.
    pub(crate) fn new(command: Command, output: PathBuf) -> Self {
        Self { command, output, child: None }
    }

    /// Starts it, if it does not run.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let output = File::options().create(true).append(true).open(&self.output)?;
        let command = self.command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.child = Some(command.spawn().context("starting a process")?);
        Ok(())
    }

    /// Whether it runs. One that ended by itself does not.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails if the process ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    /// Asks it to end, and kills it if that takes longer than `patience`.
    pub(crate) fn stop(&mut self, patience: Duration) {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while self.is_running() && asked.elapsed() < patience {
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }

    /// Whether its messages contain this text.
    pub(crate) fn said(&self, text: &str) -> bool {
        std::fs::read(&self.output).is_ok_and(|all| String::from_utf8_lossy(&all).contains(text))
    }

    /// The end of its messages.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
