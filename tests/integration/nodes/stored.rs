//! The object store of three nodes: what lies in it, and which keys open that.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, thread, time::Duration};

use dispatchd::{
    clock::{Hour, ManualClock, SharedClock, Timestamp},
    cluster::Identity,
    envelope::{HourKey, KeyFiles, Keyring},
    files::OsDisk,
    object_storage::{Config, Objects},
    query_log::{Filter, LogReader, Order},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::days::DAY;
use crate::{
    harness::{PATIENCE, Server, bytes_below},
    metrics::Scrape,
    retention,
};

/// A directory that stands for a store, or a copy of one.
pub(super) struct Stored {
    folder: TempDir,
}

impl Stored {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// What names it in the configuration.
    pub(super) fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// The same objects elsewhere.
    pub(super) fn copied(&self) -> Self {
        let copied = Self::new();
        retention::copy(self.folder.path(), copied.folder.path());
        copied
    }

    /// The bytes of all objects, and their names as those of one more.
    pub(super) fn bytes(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<_> =
            bytes_below(self.folder.path()).into_iter().map(|(_, bytes)| bytes).collect();
        all.push(self.names().into_iter().collect::<Vec<_>>().join("\n").into_bytes());
        all
    }

    /// The names of all copies.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let files = bytes_below(self.folder.path()).into_iter();
        let below = |path: &Path| {
            path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned()
        };
        files.map(|(path, _)| below(&path)).filter(|it| it.split('/').count() == 4).collect()
    }

    /// The hours of which there are copies.
    fn hours(&self) -> BTreeSet<Hour> {
        let hour = |name: &String| name.split('/').nth(1)?.parse().ok();
        self.names().iter().filter_map(hour).map(Hour::from_number).collect()
    }

    /// How many records of a node's copies the keyring opens, without a retention limit.
    pub(super) fn opened(&self, owner: &Server, keyring: Keyring, now: Timestamp) -> usize {
        let owner = Identity::read(&owner.data).unwrap().unwrap().store_name();
        let config = Config { url: self.url(), ..Config::default() };
        let read = move || {
            let (objects, folder) = (Objects::open(&config).unwrap(), TempDir::new().unwrap());
            let clock: SharedClock = ManualClock::at(now);
            let (keyring, log) = (Arc::new(keyring), folder.path().join("log"));
            let lenient = Duration::from_secs(100 * 365 * DAY);
            fs::create_dir(&log).unwrap();
            let open = || {
                let (keyring, clock) = (Arc::clone(&keyring), Arc::clone(&clock));
                LogReader::open_with(&log, keyring, clock, lenient).unwrap()
            };
            open().fetch_copies(&objects, &owner, &OsDisk::shared()).unwrap();
            open().search(&Filter::default(), Order::Asc, None).filter(Result::is_ok).count()
        };
        // The store's client waits on its thread, and that of the test has a runtime.
        thread::spawn(read).join().unwrap()
    }

    /// The same with one key, tried at every hour.
    pub(super) fn opened_by(&self, owner: &Server, key: &[u8; 32], now: Timestamp) -> usize {
        let folder = TempDir::new().unwrap();
        let files = KeyFiles::new(&folder.path().join("keys"), None);
        let keyring = Keyring::open(OsDisk::shared(), files, false);
        let keyring = keyring.unwrap();
        keyring.put(self.hours().into_iter().map(|hour| (hour, HourKey::of(key)))).unwrap();
        self.opened(owner, keyring, now)
    }

    /// Waits until none of these copies is there any more.
    pub(super) async fn until_gone(&self, names: &BTreeSet<String>) {
        let begun = Instant::now();
        loop {
            let left: Vec<_> = self.names().intersection(names).cloned().collect();
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{left:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Waits until all that these nodes recorded is copied.
pub(super) async fn until_copied(nodes: &[&Server]) {
    for node in nodes {
        let begun = Instant::now();
        while 0.0 < Scrape::of(node).await.value("log_store_lag_seconds") {
            assert!(begun.elapsed() < PATIENCE, "{}", node.output());
            sleep(Duration::from_millis(100)).await;
        }
    }
}
