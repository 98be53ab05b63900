//! Everything that can be struck: engine, nodes, network and file systems.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use dispatchd::shared_log::{
    SharedLog as _,
    etcd::{Config, Etcd},
};
use rustix::process::Signal;
use tokio::time::{Duration, Instant, sleep};

use super::Who;
use crate::{
    engine::Engine,
    network::{Link, Network},
    node::Node,
    process::Process,
};

/// The machine whose two file systems are small.
pub(crate) const SMALL: usize = 2;
const SMALL_BYTES: usize = 512 << 20;
/// The backup of the engine when the run began.
pub(crate) const BEGINNING: &str = "beginning";
/// What the nodes' keys in the engine begin with, unless they are told otherwise.
const PREFIX: &str = "dispatchd/";
const BALLAST: &str = "ballast";
/// How long everything may take to be well after it was healed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The machines of one run.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) engine: Engine,
    /// None while only the engine is tried.
    pub(crate) nodes: Vec<Node>,
    pub(crate) folder: PathBuf,
    /// Whether the engine does not hold what it should.
    pub(crate) is_engine_lost: bool,
}

/// Mounts a small file system for each of the folders.
pub(crate) fn mount_small(folders: &[PathBuf]) -> anyhow::Result<()> {
    for folder in folders {
        fs::create_dir_all(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SMALL_BYTES},mode=0700"), "none"]);
        let output = mount.arg(folder).output().context("running mount")?;
        ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The folder of a process's data: a file system of its own at the small machine.
pub(crate) fn small_folders(folder: &Path) -> [PathBuf; 2] {
    [folder.join(format!("member{SMALL}")), folder.join(format!("node{SMALL}"))]
}

impl World {
    pub(crate) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let nodes = self.nodes.iter_mut().map(|node| &mut node.process);
        self.engine.members.iter_mut().chain(nodes)
    }

    /// The number of a member.
    pub(super) async fn member(&self, who: Who) -> usize {
        match who {
            Who::Member(n) | Who::Node(n) => n,
            // Without a leader any member is as good.
            Who::Leader => self.engine.leader().await.unwrap_or(0),
        }
    }

    pub(super) async fn process(&mut self, who: Who) -> &mut Process {
        let number = self.member(who).await;
        match who {
            Who::Node(_) => &mut self.nodes[number].process,
            Who::Member(_) | Who::Leader => &mut self.engine.members[number],
        }
    }

    fn ballast(&self, who: Who) -> PathBuf {
        let [member, node] = small_folders(&self.folder);
        if matches!(who, Who::Node(_)) { node.join(BALLAST) } else { member.join(BALLAST) }
    }

    /// Fills the file system of a process to the last byte.
    pub(super) fn fill_disk(&self, who: Who) -> anyhow::Result<()> {
        let mut file = File::create(self.ballast(who))?;
        let block = vec![0; 1 << 20];
        // It ends when the file system is full.
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..4096]).is_ok() {}
        Ok(())
    }

    /// Has the engine hold what a backup holds, or nothing.
    pub(super) async fn lose_engine(&mut self, backup: Option<&str>) -> anyhow::Result<()> {
        self.is_engine_lost = true;
        self.engine.restore(backup).await
    }

    /// Recovers the log as the documentation says: all nodes stop, and the one that has applied the most goes on.
    fn recover(&mut self) -> anyhow::Result<()> {
        self.nodes.iter_mut().for_each(Node::stop);
        let mut most = None;
        for (node, number) in self.nodes.iter().zip(0..) {
            most = most.max(node.recoverable()?.map(|place| (place, number)));
        }
        if let Some((_, number)) = most {
            self.nodes[number].recover()?;
        }
        self.is_engine_lost = false;
        Ok(())
    }

    /// Removes all entries but the last one from the log, if the engine answers.
    pub(super) async fn trim(&self) -> anyhow::Result<()> {
        let log = Etcd::new(&Config::new(self.engine.urls.clone(), PREFIX.to_owned()))?;
        if let Ok(head) = log.head().await {
            let _ = log.trim(head.place).await;
        }
        Ok(())
    }

    /// Ends every fault, and waits until everything is well again.
    pub(crate) async fn heal(&mut self) -> anyhow::Result<()> {
        self.processes().for_each(|process| process.signal(Signal::CONT));
        if self.network.has_links() {
            for link in Link::all() {
                self.network.set_link(link, true)?;
            }
            for who in [Who::Member(SMALL), Who::Node(SMALL)] {
                let _ = fs::remove_file(self.ballast(who));
            }
        }
        for node in &mut self.nodes {
            node.set_clock(0)?;
        }
        for process in self.processes() {
            process.start()?;
        }
        self.engine.until_all_answer().await?;
        if self.is_engine_lost {
            self.recover()?;
        }
        let begun = Instant::now();
        for (node, number) in self.nodes.iter_mut().zip(0..) {
            while !node.is_ready().await {
                // One that cannot go on says so and ends. The service manager starts it again.
                node.process.start()?;
                let words = || node.process.last_words();
                ensure!(begun.elapsed() < PATIENCE, "node {number} is not ready: {}", words());
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}
