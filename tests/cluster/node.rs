//! A real node: the program in a process of its own, set up with its own commands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use dispatchd::cluster::Identity;
use reqwest::Client;
use tokio::time::{Instant, sleep};

use crate::{
    answered::COPY_INTERVAL,
    network::{Network, Place},
    process::Process,
};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dispatchd");
const PHONES_PORT: u16 = 7201;
const OPERATORS_PORT: u16 = 7202;
/// How long a start and a stop may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than what the server waits for requests under way.
const STOP_PATIENCE: Duration = Duration::from_secs(25);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A node and its process.
pub(crate) struct Node {
    pub(crate) process: Process,
    /// Where phones call it.
    pub(crate) phones: String,
    /// Where operators and other nodes call it.
    pub(crate) operators: String,
    /// The messages with codes that it has sent.
    pub(crate) outbox: PathBuf,
    config: PathBuf,
    data: PathBuf,
    network: Network,
    number: usize,
    clock: PathBuf,
    client: Client,
    /// Whether its disk was destroyed, so that it has no records of what was before.
    is_new: bool,
}

/// The library that gives a process another wall clock.
pub(crate) fn wall_clock(folder: &Path) -> anyhow::Result<PathBuf> {
    let library = folder.join("wall_clock.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    compile.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/wall_clock.c"));
    let compiled = compile.output().context("running cc")?;
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Ok(library)
}

/// Removes the settings of this process's environment from a command's.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DISPATCHD_")) {
        command.env_remove(name);
    }
}

/// Files of a run.
#[derive(Clone, Copy)]
pub(crate) struct Paths<'p> {
    /// Where data lies.
    pub(crate) folder: &'p Path,
    /// The library of [`wall_clock`].
    pub(crate) wall_clock: &'p Path,
    /// The section of the configuration that names the object store.
    pub(crate) store: &'p str,
}

impl Node {
    /// Writes the configuration of the node with this number. Nothing is started. Without an engine it is a server of its own.
    pub(crate) fn new(
        network: Network,
        number: usize,
        engine: &[String],
        Paths { folder, wall_clock, store }: Paths<'_>,
    ) -> anyhow::Result<Self> {
        let place = Place::Node(number);
        let address = network.address(place);
        let phones = format!("{address}:{}", network.port(PHONES_PORT)?);
        let operators = format!("{address}:{}", network.port(OPERATORS_PORT)?);
        // The folder around it may be a file system of its own.
        let data = folder.join(format!("node{number}")).join("data");
        let [config, clock] =
            ["toml", "clock"].map(|end| folder.join(format!("node{number}.{end}")));
        let text = format!(
            "[server]\nphones = {phones:?}\noperators = {operators:?}\ndata = {data:?}\nshed_after = \"0s\"\n\
             [quota]\nenabled = false\n\
             [cluster]\nengine = {engine:?}\nnode = \"n{number}\"\naddress = \"http://{operators}\"\n\
             [log]\ncopy_interval = \"{}s\"\n{store}",
            COPY_INTERVAL.as_secs()
        );
        fs::create_dir_all(data.parent().context("it has a parent")?)?;
        fs::write(&config, text)?;
        fs::write(&clock, "0s")?;
        let mut command = network.command(place, Path::new(PROGRAM));
        without_settings(&mut command);
        command.arg("serve").arg("--config").arg(&config);
        command.env("LD_PRELOAD", wall_clock).env("WALL_CLOCK_OFFSET", &clock);
        let process = Process::new(command, folder.join(format!("node{number}.out")));
        let client = Client::builder().no_proxy().timeout(PROBE_TIMEOUT).build()?;
        let (phones, operators) = (format!("http://{phones}"), format!("http://{operators}"));
        let outbox = data.join("outbox.ndjson");
        Ok(Self {
            process,
            phones,
            operators,
            outbox,
            config,
            data,
            network,
            number,
            clock,
            client,
            is_new: false,
        })
    }

    /// Runs a command of the program at this node's place.
    fn ask(&self, words: &[&str]) -> anyhow::Result<Output> {
        let place = Place::Node(self.number);
        let mut command = self.network.command(place, Path::new(PROGRAM));
        without_settings(&mut command);
        Ok(command.args(words).stdin(Stdio::null()).output()?)
    }

    /// Runs a command that must succeed, and returns what it prints.
    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.ask(words)?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            bail!("dispatchd {}: {told}", words[..2].join(" "));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A folder for files beside its data.
    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().expect("it lies in a folder")
    }

    fn config(&self) -> &str {
        self.config.to_str().expect("it was made from text")
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Its name in the cluster.
    pub(crate) fn name(&self) -> String {
        format!("n{}", self.number)
    }

    /// Which node of the cluster it is.
    pub(crate) fn identity(&self) -> anyhow::Result<Identity> {
        Identity::read(&self.data)?.context("it is no node of a cluster")
    }

    /// Deletes everything that lies on its disk. It does not run.
    pub(crate) fn destroy(&mut self) -> anyhow::Result<()> {
        self.is_new = true;
        Ok(fs::remove_dir_all(&self.data)?)
    }

    /// Removes another node from the cluster of this one, which runs.
    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.run(&["cluster", "remove", name, "--config", self.config()])?;
        Ok(())
    }

    /// Begins the cluster with this node, which does not run.
    pub(crate) fn init(&self) -> anyhow::Result<()> {
        self.run(&["cluster", "init", "--config", self.config()])?;
        Ok(())
    }

    /// A token with which another node joins.
    pub(crate) fn invite(&self, guest: &str) -> anyhow::Result<String> {
        self.run(&["cluster", "invite", guest, "--config", self.config()])
    }

    /// Joins the cluster of a member with this node, which does not run.
    pub(crate) fn join(&self, member: &str, token: &str) -> anyhow::Result<()> {
        let words = ["cluster", "join", member, "--plain", "--token", token, "--config"];
        self.run(&[&words[..], &[self.config()]].concat())?;
        Ok(())
    }

    /// The place of the last entry that this node has applied, as `cluster recover` says. It does not run, and the log in the engine ends
    /// before. None if the log needs no recovery.
    pub(crate) fn recoverable(&self) -> anyhow::Result<Option<u64>> {
        let output = self.ask(&["cluster", "recover", "--config", self.config()])?;
        if output.status.success() {
            return Ok(None);
        }
        let told = String::from_utf8_lossy(&output.stderr);
        let place = told.split_once("has applied place ").and_then(|(_, rest)| {
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        });
        Ok(Some(place.with_context(|| format!("cluster recover: {told}"))?))
    }

    /// Has the log go on behind what this node has applied. It does not run.
    pub(crate) fn recover(&self) -> anyhow::Result<()> {
        self.run(&["cluster", "recover", "--yes", "--config", self.config()])?;
        Ok(())
    }

    /// The token of a new operator.
    pub(crate) fn operator(&self) -> anyhow::Result<String> {
        self.run(&["operator", "add", "harness", "--role", "admin", "--config", self.config()])
    }

    /// Whether it has no records of a time: it took the state of another member over, or its disk was destroyed.
    pub(crate) fn lacks_records(&self) -> bool {
        self.is_new || self.process.said("the state of another member was taken over")
    }

    /// Whether it answers lookups.
    pub(crate) async fn is_ready(&self) -> bool {
        let probe = self.client.get(format!("{}/readyz", self.phones)).send().await;
        probe.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until it answers lookups, or for so long that something else must be wrong.
    pub(crate) async fn until_ready(&self) -> bool {
        self.is_ready_within(PATIENCE).await
    }

    /// Waits until it answers lookups, and not longer than so.
    pub(crate) async fn is_ready_within(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.is_ready().await {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(&mut self) {
        self.process.stop(STOP_PATIENCE);
    }

    /// Stops it and starts it again.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.process.start()
    }

    /// Sets by how many seconds its wall clock is wrong. Its kernel says that the clock is right.
    pub(crate) fn set_clock(&self, seconds: i64) -> anyhow::Result<()> {
        fs::write(&self.clock, format!("{seconds}s"))?;
        Ok(())
    }
}
