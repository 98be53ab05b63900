//! The nodes.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::engine::{Engine, free_port};
use crate::{Amounts, process::Server};

/// How long etcd may take to elect a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// The data directory of a node, and its configuration.
pub(crate) struct Node {
    data: PathBuf,
    operators: String,
    engine: OsString,
    name: OsString,
}

impl Node {
    fn new(data: &Path, name: &str, engine: &Engine) -> anyhow::Result<Self> {
        let operators = format!("127.0.0.1:{}", free_port()?);
        let (engine, name) = (OsString::from(&engine.urls), OsString::from(name));
        Ok(Self { data: data.to_owned(), operators, engine, name })
    }

    /// Begins a cluster with a registry.
    pub(crate) fn begin(data: &Path, engine: &Engine) -> anyhow::Result<Self> {
        let (node, begun) = (Self::new(data, "a", engine)?, Instant::now());
        while let Err(error) = node.cluster(&["init"]) {
            ensure!(begun.elapsed() < PATIENCE, "{error}");
            thread::sleep(Duration::from_millis(200));
        }
        Ok(node)
    }

    /// Has a new node join at `member`, which runs.
    pub(crate) fn join(
        folder: &Path,
        name: &str,
        engine: &Engine,
        member: &Self,
    ) -> anyhow::Result<Self> {
        let node = Self::new(&folder.join(name), name, engine)?;
        let token = member.cluster(&["invite", name])?;
        let url = format!("http://{}", member.operators);
        node.cluster(&["join", &url, "--token", token.trim()])?;
        Ok(node)
    }

    fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("CLUSTER__ENGINE", self.engine.clone()),
            ("CLUSTER__NODE", self.name.clone()),
            ("SERVER__OPERATORS", OsString::from(&self.operators)),
        ]
    }

    /// Runs `dispatchd cluster` with more words. Returns what it printed.
    fn cluster(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatchd"));
        command.arg("cluster").args(words).env("DISPATCHD_SERVER__DATA", &self.data);
        for (name, value) in self.environment() {
            command.env(format!("DISPATCHD_{name}"), value);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts it.
    pub(crate) fn serve(&self, amounts: &Amounts) -> anyhow::Result<Server> {
        Server::dispatchd_with(&self.data, "os", false, self.environment(), amounts)
    }
}
