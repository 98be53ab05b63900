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
    answered::LostDisk,
    engine::Engine,
    network::{Link, Network},
    node::Node,
    nodes::Operator,
    process::Process,
    store::{Harm, Store},
};

/// The machine whose two file systems are small.
pub(crate) const SMALL: usize = 2;
const SMALL_BYTES: usize = 512 << 20;
/// The backup of the engine when the run began.
pub(crate) const BEGINNING: &str = "beginning";
/// What the nodes' keys in the engine begin with, unless they are told otherwise.
const PREFIX: &str = "dispatchd/";
const BALLAST: &str = "ballast";
/// Before a service that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
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
    /// Beside nodes.
    pub(crate) copies: Option<Copies>,
    /// The node that has nothing on its disk.
    pub(crate) destroyed: Option<usize>,
}

/// What the copies of the nodes' logs are about.
pub(crate) struct Copies {
    pub(crate) store: Store,
    pub(crate) operator: Operator,
    /// The disks that were destroyed.
    pub(crate) lost: Vec<LostDisk>,
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

    /// Harms the calls of the object store, or none any more.
    pub(super) fn harm_store(&self, harm: Option<Harm>) {
        if let Some(copies) = &self.copies {
            copies.store.set_harm(harm);
        }
    }

    /// Destroys the disk of a node whose copies are up to date.
    pub(super) async fn destroy_disk(&mut self, number: usize) -> anyhow::Result<()> {
        let (node, copies) = (&mut self.nodes[number], &mut self.copies);
        let copies = copies.as_mut().context("nodes copy their logs")?;
        let is_copied = copies.operator.until_copied(node, PATIENCE).await;
        ensure!(is_copied, "the log of node {number} is not copied: {}", node.process.last_words());
        let identity = node.identity()?;
        let (id, name) = (identity.node, identity.store_name());
        node.process.kill();
        copies.lost.push(LostDisk { node: number, id, name, died: std::time::Instant::now() });
        self.destroyed = Some(number);
        node.destroy()
    }

    /// Has the node whose disk was destroyed join again, as the documentation says.
    async fn replace_destroyed(&mut self) -> anyhow::Result<()> {
        let Some(number) = self.destroyed.take() else { return Ok(()) };
        let (name, begun) = (self.nodes[number].name(), Instant::now());
        let other = (number + 1) % self.nodes.len();
        self.nodes[number].process.kill();
        self.nodes[other].remove(&name)?;
        loop {
            if self.nodes[number].data().exists() {
                self.nodes[number].destroy()?;
            }
            let (node, member) = (&self.nodes[number], &self.nodes[other]);
            let joined =
                member.invite(&name).and_then(|token| node.join(&member.operators, &token));
            match joined {
                Ok(()) => break,
                Err(error) if PATIENCE <= begun.elapsed() => return Err(error),
                Err(_) => sleep(RESTART_PAUSE).await,
            }
        }
        self.nodes[number].process.start()
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
        self.harm_store(None);
        self.start_all()?;
        self.engine.until_all_answer().await?;
        if self.is_engine_lost {
            self.recover()?;
        }
        self.until_ready().await?;
        self.replace_destroyed().await?;
        self.until_ready().await
    }

    /// Starts each process that does not run, but a node that has nothing on its disk.
    fn start_all(&mut self) -> anyhow::Result<()> {
        self.engine.members.iter_mut().try_for_each(Process::start)?;
        let nodes = self.nodes.iter_mut().zip(0..);
        let mut others = nodes.filter(|(_, number)| Some(*number) != self.destroyed);
        others.try_for_each(|(node, _)| node.process.start())
    }

    /// Waits until all nodes answer, but one that has nothing on its disk.
    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let destroyed = self.destroyed;
        for number in (0..self.nodes.len()).filter(|number| Some(*number) != destroyed) {
            while !self.nodes[number].is_ready().await {
                // A node that cannot go on says so and ends, such as one that finds nobody to take the state over from. The service
                // manager starts it again.
                self.start_all()?;
                let words = || self.nodes.iter().map(|node| node.process.last_words());
                ensure!(
                    begun.elapsed() < PATIENCE,
                    "node {number} is not ready. The last words of all nodes:\n{}",
                    words().collect::<Vec<_>>().join("\n")
                );
                sleep(RESTART_PAUSE).await;
            }
        }
        Ok(())
    }
}
