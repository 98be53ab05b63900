//! Three nodes while days pass. Their wall clocks come from a preloaded library (`tests/tools/wall_clock.c`).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use dispatchd::clock::{Clock as _, SystemClock, Timestamp};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{thief, trio::Trio};
use crate::{
    harness::{PATIENCE, Server},
    wrong_clocks::library,
};

pub(super) const HOUR: u64 = 3_600;
pub(super) const DAY: u64 = 24 * HOUR;

/// The nodes, on one clock that the test moves.
pub(super) struct Days {
    pub(super) trio: Trio,
    offset: u64,
    /// The offset at which the key of entries was made that nodes use now, and its number at the least.
    key: (u64, u32),
    clock: PathBuf,
    _folder: TempDir,
}

impl Days {
    /// The nodes run, and no time has passed.
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more of the configuration for all nodes.
    pub(super) async fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = folder.path().join("offset");
        let trio = Trio::stopped(more).await;
        let mut days = Self { trio, offset: 0, key: (0, 1), clock, _folder: folder };
        days.write();
        for node in &mut days.trio.nodes {
            Self::follow(node, &days.clock);
        }
        days.trio.found().await;
        days.trio.join_all().await;
        days
    }

    fn follow(node: &mut Server, clock: &Path) {
        let library = library().to_str().unwrap();
        node.set_process_env(&[
            ("LD_PRELOAD", library),
            ("WALL_CLOCK_OFFSET", clock.to_str().unwrap()),
        ]);
    }

    /// A node that does not run, on the data directory `data`, with the engine and the clock of the others.
    pub(super) fn node(&self, name: &str, data: &Path) -> Server {
        let engine = json!(self.trio.etcd.urls()).to_string();
        let settings = [("CLUSTER__ENGINE", &*engine), ("CLUSTER__NODE", name)];
        let mut node = Server::stopped(data, &settings);
        Self::follow(&mut node, &self.clock);
        node
    }

    /// The kernel says that a time service keeps the clock right.
    fn write(&self) {
        let next = self.clock.with_extension("new");
        fs::write(&next, format!("{} s", self.offset)).unwrap();
        fs::rename(next, &self.clock).unwrap();
    }

    /// What the nodes' clocks show.
    pub(super) fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(self.offset))
    }

    /// Lets time pass. `running` are the nodes that run, which change the key of entries if a day is over.
    pub(super) async fn pass(&mut self, seconds: u64, running: &[usize]) {
        self.offset += seconds;
        if self.key.0 + DAY <= self.offset {
            let newest = |node: &Server| thief::numbers(&node.data)?.pop();
            let newest = self.trio.nodes.iter().filter_map(newest).max().expect("there is a key");
            self.key = (self.offset, newest + 1);
        }
        self.write();
        // Each node compares its clocks each second. Until all have done so, one takes the others' clocks for wrong.
        sleep(Duration::from_millis(1_200)).await;
        let begun = Instant::now();
        for node in running {
            while self.trio.readiness(*node).await.0 != StatusCode::OK {
                assert!(begun.elapsed() < PATIENCE, "{}", self.trio.nodes[*node].output());
                sleep(Duration::from_millis(50)).await;
            }
        }
        self.until_keys_are_of_today(running).await;
    }

    /// Waits until these nodes have the key of the last 24 hours.
    pub(super) async fn until_keys_are_of_today(&self, running: &[usize]) {
        let least = self.key.1;
        self.until_keys(running, |numbers| numbers.last().is_some_and(|it| least <= *it)).await;
    }

    /// Waits until the keys of entries of these nodes are so.
    pub(super) async fn until_keys(&self, nodes: &[usize], is_so: impl Fn(&[u32]) -> bool) {
        let begun = Instant::now();
        for node in nodes.iter().map(|node| &self.trio.nodes[*node]) {
            while !thief::numbers(&node.data).is_some_and(|numbers| is_so(&numbers)) {
                let keys = thief::numbers(&node.data);
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{}: {keys:?}\n{}",
                    node.data.display(),
                    node.output()
                );
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
